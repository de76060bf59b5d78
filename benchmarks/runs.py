"""Reading what the benchmarks over many pairs leave: finished runs in a folder, their tables and their images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from storage import run_header
from storage.run_store import RunStore
from tasks.stages.select import final_path


def finished_runs(results: Path) -> list[Path]:
    """The runs in a folder that have come to their tables, in the order in which they were begun."""
    headers = {file.parent: run_header.read(file) for file in results.glob("*/run.json")}
    runs = sorted(headers, key=lambda run: (headers[run]["created"], run.name))
    return [run for run in runs if (run / "tables" / "pairs.parquet").is_file()]


def chosen_lanes(run: Path) -> pd.DataFrame:
    """One row for every pair that is done, by its id: the chosen hypothesis's row of `tables/hypotheses.parquet`.

    Further columns are `best_loss`, the lowest of all hypotheses, and `distance`, what the choice was made by;
    `seconds` are of all hypotheses.
    """
    lanes = pd.read_parquet(run / "tables" / "hypotheses.parquet")
    pairs = pd.read_parquet(run / "tables" / "pairs.parquet").set_index("pair_id")
    good = lanes[lanes["failed"].isna()].groupby("pair_id")
    chosen = lanes[lanes["selected"]].set_index("pair_id")
    return chosen.assign(best_loss=good["loss"].min(), seconds=good["seconds"].sum(), distance=pairs["value"])


def draw(runs: Sequence[Path], given: Sequence[str], file: Path) -> None:
    """Draw the pairs that all runs have, a pair a row: pictures of the first run, then the result of every run.

    Args:
        runs: at least one.
        given: which of the first run's pictures: `source`, `exemplar`, `warp`.
        file: where to.
    """
    store = RunStore.open(runs[0])
    shared = set.intersection(*(set(chosen_lanes(run).index) for run in runs))
    rows = []
    for index, pair_id in enumerate(store.pair_ids()):
        if pair_id in shared:
            pictures = [Image.fromarray(store.read(f"warp/{name}", index)) for name in given]
            for run in runs:
                with Image.open(final_path(run, pair_id)) as result:
                    pictures.append(result.convert("RGB").resize(pictures[0].size))
            rows.append(np.concatenate([np.asarray(picture) for picture in pictures], axis=1))
    if not rows:
        raise SystemExit("expected a pair that all runs have finished, found none; nothing is drawn")
    Image.fromarray(np.concatenate(rows)).save(file, quality=90)
