"""`mgi compare`, `mgi leaderboard` and `mgi compare-sets`: what changed, who leads, how far apart two folders are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.common import JsonOption, guarded, out, say
from flows.errors import Exit

Place = Annotated[str, typer.Argument(metavar="EVALUATION|RUN", help="Folder of an evaluation or of a run.")]


@guarded
def compare(
    before: Place,
    after: Place,
    tolerance: Annotated[float, typer.Option(min=0, help="Smallest relative change that counts.")] = 0.0,
    as_json: JsonOption = False,
) -> int:
    """Say what got better or worse beyond chance, pair by pair; exit code 1 if anything got worse."""
    from tasks.suites.compare import compare as changes_between
    from tasks.suites.compare import worse
    from tasks.suites.stored import frame_at

    changes = changes_between(frame_at(before), frame_at(after), tolerance)
    if as_json:
        typer.echo(json.dumps([vars(change) for change in changes], indent=1))
    else:
        for change in changes:
            values = f"{change.before:>11.4g} -> {change.after:<11.4g}"
            sure = f"[{change.low:+.3g}, {change.high:+.3g}], p {change.p:.3f}, {change.n}"
            out.print(f"{change.verdict:<8}{change.method:<20}{change.metric:<20}{values} {sure}", markup=False)
    lost = worse(changes)
    if lost:
        say(
            f"mgi: {len(lost)} of {len(changes)} numbers got worse: {', '.join(f'{c.method} {c.metric}' for c in lost)}"
        )
    return Exit.FAILED if lost else Exit.DONE


@guarded
def leaderboard(
    places: Annotated[list[str], typer.Argument(metavar="EVALUATION|RUN...", help="Evaluations and runs.")],
) -> int:
    """Print every method of many evaluations in one table; `*` marks the best of each metric."""
    from tasks.suites.stored import leaderboard_of

    board = leaderboard_of(places)
    heads, rows = list(board.columns), board.astype(str).to_numpy().tolist()
    for line in (heads, ["---"] * len(heads), *rows):
        out.print("| " + " | ".join(line) + " |", markup=False)
    return 0


@guarded
def compare_sets(
    results: Annotated[Path, typer.Argument(metavar="A", help="Folder of the pictures that are judged.")],
    reference: Annotated[Path, typer.Argument(metavar="B", help="Folder of the pictures they are compared with.")],
    metric: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A metric of whole sets; may be repeated.  [default: fid]"),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Measure how far the pictures of folder A are from those of folder B."""
    from tasks.suites.folders import compare_folders

    found = compare_folders(str(results), str(reference), metric or ["fid"], say)
    if as_json:
        typer.echo(json.dumps([vars(one) for one in found], indent=1))
        return 0
    for one in found:
        interval = "" if one.low != one.low else f"  [{one.low:.4g}, {one.high:.4g}]"
        out.print(f"{one.metric:<18}{one.value:.6g}{interval}  {one.counts}, {one.network}, {one.resize}", markup=False)
        if one.note:
            say(f"note: {one.metric}: {one.note}")
    return 0
