"""`mgi conditions`: what conditional systems translate from, made of pictures or of key points."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli import completion
from flows.cli.common import Answer, err, guarded, made, say
from flows.errors import Exit
from mgi.config import ConfigError


@guarded
def conditions(
    folder: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the files go; old ones are replaced.")],
    pictures: Annotated[
        Path | None, typer.Argument(metavar="PICTURES", help="Folder of pictures; --keypoints needs none.")
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            metavar="edges|grey|segments",
            autocompletion=completion.conditions,
            help="Lines by Canny, luma, or a map of 16 named colours as class numbers.",
        ),
    ] = "edges",
    keypoints: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Key points (CSV, JSON, COCO's): a Gaussian map for each, NAME.npy, instead of --kind."
        ),
    ] = None,
    rows: Annotated[int, typer.Option(min=16, max=1024, metavar="N", help="Smaller side of maps of key points.")] = 64,
) -> Answer:
    """Write the condition of every picture, called as the picture and in the same subfolder.

    A training on two folders (`mgi train translator SYSTEM FOLDER PICTURES`) and options.labels of methods read them.
    """
    from flows.counted import counted
    from flows.progress import show_progress
    from tasks.make_conditions import make_conditions, make_maps

    if pictures is None and keypoints is None:
        raise ConfigError("PICTURES is missing: expected a folder of pictures, or --keypoints FILE")
    with show_progress(err) as observer:
        progress = counted(observer, "conditions", "pictures")
        if keypoints is not None:
            kind, found = "keypoints", make_maps(keypoints, pictures, folder, rows, progress)
        else:
            assert pictures is not None
            found = make_conditions(pictures, kind, folder, progress)
    made(folder, f"{found.files} files of {kind} in {folder}")
    if found.names and kind != "keypoints":
        say(f"{len(found.names)} classes: train with --set labels={len(found.names)}")
    for name, reason in found.left_out.items():
        say(f"left out: {name}: {reason}")
    facts = {"folder": folder, "kind": kind, "files": found.files, "names": found.names, "left_out": found.left_out}
    return Answer(facts, Exit.QUARANTINED if found.left_out else Exit.DONE)
