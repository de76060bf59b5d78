"""`mgi compare-labels`, `mgi compare-boxes` and `mgi diversity`: numbers that other networks' outputs decide."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.common import Answer, RunArgument, guarded, out, say


@guarded
def compare_labels(
    found: Annotated[Path, typer.Argument(metavar="FOUND", help="Folder of maps that a network made of results.")],
    true: Annotated[Path, typer.Argument(metavar="TRUE", help="Folder of maps that they were made from.")],
    classes: Annotated[int, typer.Option(min=2, max=255, help="How many; 255 in a true map does not count.")] = 19,
) -> Answer:
    """Mean intersection over union and pixel accuracy of maps of labels, PNGs of class numbers with the same names."""
    from tasks.outputs import compare_labels as compare

    scores = compare(found, true, classes)
    out.print(f"mIoU {scores.miou:.4f}  pixel accuracy {scores.accuracy:.4f}  ({scores.pixels} pixels)", markup=False)
    return Answer(vars(scores))


@guarded
def compare_boxes(
    found: Annotated[Path, typer.Argument(metavar="FOUND.json", help="Boxes that a detector found in results.")],
    true: Annotated[Path, typer.Argument(metavar="TRUE.json", help="Boxes that should be there.")],
) -> Answer:
    """Average precision of boxes, as COCO defines it (mean over overlaps 0.5 to 0.95), of COCO's JSON."""
    from tasks.outputs import compare_boxes as compare

    scores = compare(found, true)
    out.print(f"AP {scores.ap:.4f}  AP50 {scores.ap50:.4f}  AP75 {scores.ap75:.4f}", markup=False)
    return Answer(vars(scores))


@guarded
def diversity(run: RunArgument) -> Answer:
    """How different the results of one source are: mean LPIPS between them, over all sources with several exemplars."""
    from flows.remote import working_folder
    from tasks.outputs import run_diversity

    with working_folder(run, say, writes=False) as place:
        measured, value, sources = run_diversity(place.folder, say)
    out.print(f"diversity {value:.4f}  ({measured}, {sources} sources)", markup=False)
    return Answer({"measured": measured, "value": value, "sources": sources})
