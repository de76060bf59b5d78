"""Does a result depend on how it was computed? `python -m benchmarks.determinism RESULTS SOURCES EXEMPLARS`.

The same pairs are translated by 1 and 2 workers, in shards of 16 and 64 pairs, with 1 and 4 pairs per call of the
inversion (1 is what a CPU takes, 4 what a GPU takes), and once with 2 threads instead of 1. Every row is a run of the
pipeline, RESULTS/NAME, and is compared with the first row: choices, latents, final pictures and tables without times.
Runs that are there continue, so a long table can be made in parts. `--stub` computes noise in milliseconds instead
(24 pairs that it makes itself), which tells whether the pipeline mixes anything up; real weights tell whether sums do.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

from benchmarks.orchestration import STUB, make_inputs
from flows.arguments import Arguments
from flows.pipeline import request_of, translate_run
from flows.progress import Lines
from flows.session import Session
from storage.run_store import RunStore

STUB_PAIRS = 24
"""More than one shard of 16."""
COSTS = ("seconds", "working_mib")
"""Columns of tables with these in their names say what a machine needed, and are not compared."""


@dataclass(frozen=True)
class Setup:
    """How a run is computed. PyTorch's threads are those of each worker."""

    workers: int
    shard: int = 64
    lanes: int = 1
    threads: int = 1

    @property
    def name(self) -> str:
        return f"workers{self.workers}-shard{self.shard}-lanes{self.lanes}-threads{self.threads}"


def setups(shards: list[int], short: bool = False) -> list[Setup]:
    """All combinations with one thread, then two threads; the first is what the others are compared with.

    Short leaves out the combinations between the first and the one that has nothing in common with it.
    """
    every = [Setup(*numbers) for numbers in itertools.product((1, 2), sorted(shards, reverse=True), (1, 4))]
    return [*((every[0], every[-1]) if short else every), Setup(1, max(shards), 1, 2)]


@dataclass
class Found:
    """What a run came to."""

    choices: dict[str, str]
    """{pair id: what was chosen and why, as JSON}."""
    latents: dict[str, np.ndarray]
    """{pair id.hypothesis: latents}."""
    pictures: dict[str, bytes]
    tables: dict[str, pd.DataFrame]


def compute(asked: Arguments, run: Path, setup: Setup, metrics: str = "none", scheduler: str | None = None) -> Found:
    """Translate into a folder under one setup, and read the result; a scheduler has the workers that it has."""
    request, say = request_of(asked), Lines(partial(print, file=sys.stderr, flush=True))
    with _under(setup):
        translate_run(request, str(run), setup.workers, scheduler, say, metrics=metrics)
    return read(run)


@contextmanager
def _under(setup: Setup) -> Iterator[None]:
    """What no option sets, set in the process that steers: workers are told by it."""
    asked = Session.__dict__["layout"].func
    layout = cached_property(lambda session: replace(asked(session), lanes=setup.lanes))
    layout.__set_name__(Session, "layout")
    with ExitStack() as stack:
        stack.enter_context(patch("flows.stages.SHARD", setup.shard))
        stack.enter_context(patch("flows.stages.PER_WORKER", 1))
        stack.enter_context(patch("flows.pipeline.threads_per_worker", lambda workers: setup.threads))
        stack.enter_context(patch.object(Session, "layout", layout))
        yield


def read(run: Path) -> Found:
    """The result of a finished run."""
    store = RunStore.open(run)
    found = Found({}, {}, {path.name: path.read_bytes() for path in sorted((run / "final").glob("*.png"))}, {})
    for pair_id in store.pair_ids():
        chosen = store.payload("select", pair_id) or {}
        found.choices[pair_id] = json.dumps(
            {name: chosen[name] for name in chosen if name != "seconds"}, sort_keys=True
        )
    for key in sorted(store.keys_done("invert")):
        found.latents[key] = store.value("invert", key, f"latents/{key.partition('.')[2]}")
    for path in sorted((run / "tables").glob("*.parquet")):
        table = pd.read_parquet(path)
        found.tables[path.stem] = table[[name for name in table.columns if not any(cost in name for cost in COSTS)]]
    return found


def compare(first: Found, other: Found) -> dict[str, Any]:
    """How many of each kind of result are the same, and how far apart the others are."""
    assert list(first.latents) == list(other.latents), "not the same lanes"
    far = [float(np.abs(value - other.latents[key]).max()) for key, value in first.latents.items()]
    winners = [json.loads(text).get("hypothesis") for text in first.choices.values()]
    others = [json.loads(text).get("hypothesis") for text in other.choices.values()]
    return {
        "winners": _same(winners, others),
        "choices": _same(list(first.choices.values()), list(other.choices.values())),
        "latents": _same([x.tobytes() for x in first.latents.values()], [x.tobytes() for x in other.latents.values()]),
        "largest": max(far, default=0.0),
        "pictures": _same(list(first.pictures.items()), list(other.pictures.items())),
        "tables": _same([*first.tables.values()], [*other.tables.values()]),
    }


def _same(ours: list[Any], theirs: list[Any]) -> tuple[int, int]:
    """(how many are equal, how many there are)."""
    assert len(ours) == len(theirs)
    equal = (x.equals(y) if isinstance(x, pd.DataFrame) else x == y for x, y in zip(ours, theirs, strict=True))
    return sum(map(bool, equal)), len(ours)


def main() -> None:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="folder of the runs")
    parser.add_argument("folders", type=Path, nargs="*", help="sources and exemplars; none with --stub")
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--pairs", type=int, help="only the first pairs")
    parser.add_argument("--shards", type=int, nargs=2, default=[16, 64])
    parser.add_argument("--metrics", default="none")
    parser.add_argument("--short", action="store_true", help="only two of the eight combinations, and two threads")
    parser.add_argument("--stub", action="store_true", help="compute noise")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    folders, profile = arguments.folders, arguments.profile
    if arguments.stub:
        folders, profile = _stubbed(arguments.results)
    overrides = dict(text.split("=", 1) for text in arguments.set)
    asked = Arguments("translate", *map(str, folders), profile, "zip", arguments.pairs, overrides=overrides)
    rows, first = [], None
    for setup in setups(arguments.shards, arguments.short):
        found = compute(asked, arguments.results / setup.name, setup, arguments.metrics)
        first = first or found
        rows.append({**asdict(setup), **compare(first, found)})
    print(json.dumps(rows, indent=1) if arguments.json else table(rows))


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    columns = ("workers", "shard", "lanes", "threads", "winners", "choices", "latents", "largest", "pictures", "tables")
    cells = [[_cell(row[name]) for name in columns] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in [list(columns), ["---"] * len(columns), *cells])


def _cell(value: object) -> str:
    if isinstance(value, tuple):
        return f"{value[0]} of {value[1]}"
    return f"{value:.1e}" if isinstance(value, float) and value else f"{value:g}"


def _stubbed(results: Path) -> tuple[list[Path], str]:
    """Folders of noise and the profile of the stub method, which workers find by the environment."""
    os.environ["MGI_METHOD_FACTORY"] = "stub_method:load"
    sys.path.append(str(STUB))  # workers begin with this process's path
    inputs = results / "inputs"
    if not inputs.is_dir():
        inputs.mkdir(parents=True)
        make_inputs(inputs, STUB_PAIRS, 3)
    return [inputs / "sources", inputs / "exemplars"], str(inputs / "stub.toml")


if __name__ == "__main__":
    main()
