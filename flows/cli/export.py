"""`mgi export`: what a run holds, called and coded as the user wants it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.common import Answer, RunArgument, err, guarded, made, say
from mgi.config import ConfigError


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
            help="Of every file, from {source}, {exemplar}, {pair}, {hypothesis}.  [default: the source's name and "
            "subfolder, with the exemplar's if a source has several]",
        ),
    ] = "",
    format: Annotated[str, typer.Option(metavar="png|jpg|webp|tiff", help="Of pictures.")] = "png",
    quality: Annotated[
        int | None, typer.Option(min=1, max=100, metavar="N", help="Of JPEG and WebP, at most 100.  [default: 95]")
    ] = None,
) -> Answer:
    """Copy the results of a run, or its warps, inputs and latents, to a folder under their sources' names.

    FOLDER/export.csv lists the files. Sources and exemplars are written as the run saw them: cut and scaled. Pictures
    are sRGB without a profile, and have none of a source's EXIF, only a line that says what made them.
    """
    from flows.counted import counted
    from flows.progress import show_progress
    from flows.remote import known_as, working_folder
    from tasks.export import export_run, wanted_of

    wanted = wanted_of(what, name, format, quality)
    with working_folder(run, say, writes=False) as place, show_progress(err) as observer:
        if folder.resolve().is_relative_to(Path(place.folder).resolve()):
            raise ConfigError(f"--to {folder} lies in the run; expected another folder")
        found = export_run(place.folder, folder, wanted, counted(observer, "export", "pairs"))
    made(found.table, f"{found.files} files in {known_as(str(folder))}, listed in {found.table.name}")
    left = found.unfinished - found.quarantined
    if left:
        say(f"note: pairs without a result yet: {left}; `mgi resume {run}` continues them")
    if found.quarantined:
        say(f"note: pairs in quarantine: {found.quarantined}; `mgi resume {run} --retry` tries them again")
    return Answer(vars(found))
