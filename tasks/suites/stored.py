"""Tables of what was evaluated before: an evaluation's own, or those of a single run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mgi.config import ConfigError
from tasks.report.lettering import format_distance
from tasks.suites.frame import PUBLISHED, frame_of, pair_rows, read_frame
from tasks.suites.suite import Suite


def frame_at(place: str) -> pd.DataFrame:
    """The tidy table of an evaluation, or of a run as its only method.

    Raises:
        ConfigError: there is neither.
    """
    if (Path(place) / "tables" / "evaluation.parquet").is_file():
        return read_frame(place)
    if not (Path(place) / "run.json").is_file():
        raise ConfigError(f"{place}: expected an evaluation or a run, found neither evaluation.json nor run.json")
    if not (Path(place) / "tables" / "metrics.parquet").is_file():
        raise ConfigError(f"{place}: expected tables/metrics.parquet; `mgi report {place}` makes it")
    method = pd.read_parquet(Path(place) / "tables" / "pairs.parquet")["method"].iloc[0]
    return frame_of(pair_rows(Suite(name="run"), str(method), place))


@dataclass(frozen=True)
class Leaderboard:
    """Means over pairs.

    Args:
        rows: of every evaluation and method: `evaluation`, `method` and `means`, {metric: mean}.
        higher: {metric: whether more is better}.
    """

    rows: list[dict[str, Any]]
    higher: dict[str, bool]

    def table(self) -> pd.DataFrame:
        """One column per metric, ready to print: `*` marks the best of each."""
        shown = [{**row, **row["means"]} for row in self.rows]
        board = pd.DataFrame(shown, columns=None if shown else ["evaluation", "method", "means"]).drop(columns="means")
        numbers = [name for name in board.columns if name not in ("evaluation", "method")]
        for name in numbers:
            values = board[name]
            best = values.max() if self.higher.get(name) else values.min()
            board[name] = [
                "–" if value != value else f"{format_distance(value)}{'*' if value == best else ''}" for value in values
            ]
        return board.rename(columns={name: f"{name} {'↑' if self.higher.get(name) else '↓'}" for name in numbers})


def leaderboard_of(places: Sequence[str]) -> Leaderboard:
    """Every method of some evaluations and runs.

    Raises:
        ConfigError: as `frame_at`.
    """
    rows: list[dict[str, Any]] = []
    higher: dict[str, bool] = {}
    for place in places:
        table = frame_at(place)
        known = table.dropna(subset=["metric", "higher_is_better"]).drop_duplicates("metric")
        higher |= dict(zip(known["metric"], known["higher_is_better"], strict=True))
        kept = table[table["metric"].notna() & (table["status"] != PUBLISHED)]
        for method, of_method in kept.groupby("method", sort=False):
            means = of_method.groupby("metric", sort=False)["value"].mean()
            rows.append({"evaluation": place, "method": str(method), "means": means.to_dict()})
    return Leaderboard(rows, higher)
