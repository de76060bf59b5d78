"""`mgi pack`: one copy of a run's arrays and tables, for object stores and other programs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.common import Answer, RunArgument, err, guarded, made, run_place, say
from mgi.config import ConfigError


@guarded
def pack(
    run: RunArgument,
    to: Annotated[
        str, typer.Option("--to", metavar="FOLDER|FILE.zip|s3://...", help="Where the copy goes; nothing may be there.")
    ],
    partial: Annotated[
        bool, typer.Option("--partial", help="Also of a run that is not finished, or that a command works on.")
    ] = False,
) -> Answer:
    """Copy a run's arrays into few large files that xarray opens at once, with the tables beside them.

    Sharded, compressed, with consolidated metadata (Zarr 3). Every value is checked against its hash as it is read, and
    read back as it was written.
    """
    from flows.counted import counted
    from flows.progress import show_progress
    from flows.remote import options, working_folder
    from tasks.pack import pack_run

    place_to, scratch = run_place(to), options().cache
    scratch.mkdir(parents=True, exist_ok=True)
    with working_folder(run, say, writes=False) as place, show_progress(err) as observer:
        if "://" not in place_to and Path(place_to).resolve().is_relative_to(Path(place.folder).resolve()):
            raise ConfigError(f"--to {to} lies in the run; expected another place")
        packed = pack_run(place.folder, place_to, partial, counted(observer, "pack", "steps"), scratch)
    size = f"{packed.files} files, {packed.size / 2**20:.1f} MiB"
    made(to, f"packed {packed.arrays} arrays of {packed.pairs} pairs: {size}, read back and compared")
    if packed.results < packed.pairs:
        say(f"note: {packed.pairs - packed.results} pairs have no result; `finished` says which rows are there")
    where = f"zarr.storage.ZipStore of {to}" if place_to.endswith(".zip") else f"{to}/run.zarr"
    say(f"xarray opens {where}: docs/data.md")
    return Answer(asdict(packed))
