"""`{date}` in the places of runs that a schedule makes, and what came before the one of today."""

from __future__ import annotations

import datetime
from pathlib import Path

PREVIOUS, DATE = "previous", "{date}"


def today() -> datetime.date | None:
    """The day that `{date}` stands for in this flow run; None if a person started it with a command.

    It is the day that the run was scheduled for, so that a second attempt after midnight keeps it.
    """
    from prefect.runtime import deployment, flow_run

    return flow_run.scheduled_start_time.date() if deployment.id else None


def dated(out: str, baseline: str | None, day: datetime.date | None) -> tuple[str, str | None]:
    """The folder of a day's run, and the evaluation to compare it with.

    Args:
        out: may hold `{date}`.
        baseline: a folder, None, or `previous`: the newest earlier evaluation under the same pattern.
        day: what `{date}` becomes; None: it stays.

    Example:
        >>> dated("runs/{date}", None, datetime.date(2026, 3, 1))
        ('runs/2026-03-01', None)
    """
    folder = out.replace(DATE, day.isoformat()) if day else out
    if baseline != PREVIOUS:
        return folder, baseline
    place = Path(out)
    others = sorted(Path(place.anchor or ".").glob(str(place.relative_to(place.anchor)).replace(DATE, "*-*-*")))
    earlier = [p for p in others if str(p) < str(Path(folder)) and (p / "tables" / "evaluation.parquet").is_file()]
    return folder, str(earlier[-1]) if earlier else None
