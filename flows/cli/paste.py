"""`mgi paste`: results in the photographs that their sources were cut from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.common import Answer, RunArgument, complain, guarded, made, say
from flows.errors import Exit
from mgi.addresses import shown as hidden
from mgi.config import ConfigError


@guarded
def paste(
    run: RunArgument,
    folder: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Where the photographs go.  [default: RUN/pasted]")
    ] = None,
) -> Answer:
    """Write every result back into its source photograph, blended at the border and where the warp is not trusted."""
    require_folder(run, folder)
    return paste_all(run, folder)


def require_folder(run: str, folder: Path | None) -> None:
    """Raise ConfigError for a run on an address whose photographs have no folder to go to."""
    if "://" in run and folder is None:
        raise ConfigError(f"--out: expected a folder for the photographs of {hidden(run)}; see `mgi paste --help`")


def paste_all(run: str, folder: Path | None) -> Answer:
    """Paste what is not there yet, and say so."""
    from flows.remote import known_as, working_folder
    from tasks.paste import PASTED, paste_run

    with working_folder(run, say, writes=folder is None) as place:
        found = paste_run(place.folder, folder)
        target = folder or Path(place.folder) / PASTED
    for pair, reason in found.failed.items():
        complain(known_as(f"{pair}: {reason}"))
    ready = f", {found.ready} were there" if found.ready else ""
    place_shown = known_as(str(target))
    made(place_shown, f"{found.made} photographs made{ready}: {place_shown}")
    counts = {"folder": place_shown, "made": found.made, "ready": found.ready, "failed": found.failed}
    return Answer(counts, Exit.QUARANTINED if found.failed else Exit.DONE)
