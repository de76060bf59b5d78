"""`mgi compare`, `mgi leaderboard` and `mgi compare-sets`: what changed, who leads, how far apart two folders are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.common import Answer, complain, guarded, out, say
from flows.errors import Exit

Place = Annotated[str, typer.Argument(metavar="EVALUATION|RUN", help="Folder of an evaluation or of a run.")]


@guarded
def compare(
    before: Place,
    after: Place,
    tolerance: Annotated[float, typer.Option(min=0, help="Smallest relative change that counts.")] = 0.0,
) -> Answer:
    """Say what got better or worse beyond chance, pair by pair; exit code 1 if anything got worse or was lost."""
    from tasks.suites.compare import comparison, worse
    from tasks.suites.stored import frame_at

    found = comparison(frame_at(before), frame_at(after), tolerance)
    for change in found.changes:
        values = f"{change.before:>11.4g} -> {change.after:<11.4g}"
        sure = f"[{change.low:+.3g}, {change.high:+.3g}], p {change.p:.3f}, {change.n}"
        out.print(f"{change.verdict:<8}{change.method:<20}{change.metric:<20}{values} {sure}", markup=False)
    for line in found.notes:
        say(f"note: {line}")
    got_worse = worse(found.changes)
    if got_worse:
        names = ", ".join(f"{change.method} {change.metric}" for change in got_worse)
        complain(f"mgi: {len(got_worse)} of {len(found.changes)} numbers got worse: {names}")
    for line in found.lost:
        complain(f"mgi: measured before and not now: {line}")
    answer = {"changes": found.changes, "worse": len(got_worse), "lost": found.lost}
    return Answer(answer, Exit.FAILED if got_worse or found.lost else Exit.DONE)


@guarded
def leaderboard(
    places: Annotated[list[str], typer.Argument(metavar="EVALUATION|RUN...", help="Evaluations and runs.")],
) -> Answer:
    """Print every method of many evaluations in one table; `*` marks the best of each metric."""
    from tasks.suites.stored import leaderboard_of

    board = leaderboard_of(places)
    table = board.table()
    heads, rows = list(table.columns), table.astype(str).to_numpy().tolist()
    for line in (heads, ["---"] * len(heads), *rows):
        out.print("| " + " | ".join(line) + " |", markup=False)
    return Answer({"rows": board.rows, "higher_is_better": board.higher})


@guarded
def compare_sets(
    results: Annotated[Path, typer.Argument(metavar="A", help="Folder of the pictures that are judged.")],
    reference: Annotated[Path, typer.Argument(metavar="B", help="Folder of the pictures they are compared with.")],
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES", help="Metrics of whole sets, separated by commas; may be repeated.  [default: fid]"
        ),
    ] = None,
) -> Answer:
    """Measure how far the pictures of folder A are from those of folder B."""
    from tasks.suites.folders import compare_folders

    names = dict.fromkeys(name.strip() for text in metric or ["fid"] for name in text.split(",") if name.strip())
    found = compare_folders(str(results), str(reference), list(names), say)
    for one in found:
        interval = "" if one.low != one.low else f"  [{one.low:.4g}, {one.high:.4g}]"
        out.print(f"{one.metric:<18}{one.value:.6g}{interval}  {one.counts}, {one.network}, {one.resize}", markup=False)
        if one.note:
            say(f"note: {one.metric}: {one.note}")
    return Answer({"distances": found})
