"""`mgi clean`: what can be made again goes."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.common import Answer, RunArgument, guarded, out, say, tell_behind
from flows.cli.sizes import size_in_words


@guarded
def clean(
    run: RunArgument,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> Answer:
    """Remove what can be made again from a run: report, tables, edits, pasted photographs and videos.

    Results, warps and latents stay, and with them everything that resuming, choosing again and exporting need.
    """
    from flows.remote import working_folder
    from tasks.clean import clean_run

    with working_folder(run, say, writes=not dry_run) as place:
        found = clean_run(place.folder, dry_run)
    for one in found:
        out.print(f"{one.name:<20}{size_in_words(one.size):>13}   {one.command} makes it again", markup=False)
    total = size_in_words(sum(one.size for one in found))
    out.print(f"{total} {'would be' if dry_run else 'are'} free again" if found else "nothing to remove")
    parts = [{"name": one.name, "bytes": one.size, "command": one.command} for one in found]
    return Answer({"parts": parts, "bytes": sum(one.size for one in found), "dry_run": dry_run}, tell_behind(place))
