"""`mgi export`: what a run holds, called and coded as the user wants it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.common import Answer, RunArgument, guarded, say
from flows.cli.copies import FORMATS, PARTS, export_all


@guarded
def export(
    run: RunArgument,
    folder: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Where the files go.")],
    what: Annotated[
        str, typer.Option(metavar="KINDS", help="result, warp, source, exemplar, latents, separated by commas.")
    ] = "result",
    name: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help=f"{PARTS}  [default: the source's name and subfolder, with the exemplar's if a source has several]",
        ),
    ] = "",
    format: Annotated[str, typer.Option(metavar=FORMATS, help="Of pictures.")] = "png",
    quality: Annotated[
        int | None, typer.Option(min=1, max=100, metavar="N", help="Of JPEG and WebP, at most 100.  [default: 95]")
    ] = None,
) -> Answer:
    """Copy the results of a run, or its warps, inputs and latents, to a folder under their sources' names.

    FOLDER/export.csv lists the files. Sources and exemplars are written as the run saw them: cut and scaled. Pictures
    are sRGB without a profile, and have none of a source's EXIF, only a line that says what made them.
    """
    from tasks.export import wanted_of

    found = export_all(run, "--to", folder, wanted_of(what, name, format, quality))
    left = found.unfinished - found.quarantined
    if left:
        say(f"note: pairs without a result yet: {left}; `mgi resume {run}` continues them")
    if found.quarantined:
        say(f"note: pairs in quarantine: {found.quarantined}; `mgi resume {run} --retry` tries them again")
    return Answer({"folder": folder, **vars(found)})
