"""Inverted pictures moved along a direction: a strip per pair, and full pictures if they are wanted."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mgi.config import ConfigError
from mgi.directions import Direction
from mgi.directions.amounts import words_of
from mgi.pairs import Hypothesis
from tasks.editing.strips import Cell, has_key, strip, write_keyed
from tasks.stages.invert import lane_value
from tasks.unit import SELECT, Job, OpenRun, picture

if TYPE_CHECKING:
    from mgi.translators import Edits

FOLDER = "edits"


@dataclass(frozen=True)
class Edit:
    """What is done to every pair: a direction, the amounts in rising order, and whether full pictures are wanted."""

    direction: Direction
    amounts: tuple[float, ...]
    full: bool = False

    def key(self, job: Job, hypothesis_id: str) -> str:
        """Changes whenever a picture would: with the direction's file, the amounts, the run or the chosen lane."""
        said = f"{self.direction.digest} {self.direction.space} {self.amounts} {job.digest} {hypothesis_id}"
        return hashlib.sha256(said.encode()).hexdigest()[:32]


def finished_pairs(job: Job, wanted: Sequence[str] | None, limit: int | None) -> list[str]:
    """Ids of pairs that have a result, in the plan's order.

    Args:
        job: the run.
        wanted: only these; None for all.
        limit: at most this many.

    Raises:
        ConfigError: an unknown id, one without a result, or no result in the whole run.
    """
    run = job.open()
    known, done = run.pair_ids(), run.store.parts_done(SELECT)
    for pair_id in wanted or ():
        if pair_id not in known:
            raise ConfigError(f"{job.run} has no pair {pair_id}; ids are the names in {job.run}/final, without .png")
        if pair_id not in done:
            raise ConfigError(f"pair {pair_id} has no result yet; `mgi resume {job.run}` continues it")
    finished = [pair_id for pair_id in known if pair_id in done and (not wanted or pair_id in wanted)][:limit]
    if not finished:
        raise ConfigError(f"{job.run} holds no result to edit yet; `mgi resume {job.run}` continues it")
    return finished


def strip_path(run: str | Path, direction: Direction, pair_id: str) -> Path:
    """The path of a pair's strip."""
    return Path(run) / FOLDER / direction.name / f"{pair_id}.png"


def full_path(run: str | Path, direction: Direction, pair_id: str, amount: float) -> Path:
    """The path of a full picture."""
    return Path(run) / FOLDER / direction.name / pair_id / f"{words_of(amount)}.png"


def edit_pair(job: Job, pair_id: str, edit: Edit) -> tuple[Path, bool]:
    """Write a pair's pictures, unless they are there and still right.

    Returns:
        The strip's path, and whether anything was computed.

    Raises:
        ConfigError: the direction does not fit the run, or the pair has no result.
    """
    run = job.open()
    choice = run.store.done(SELECT, pair_id)
    if choice is None:
        raise ConfigError(f"pair {pair_id} has no result; `mgi resume {job.run}` makes it")
    key = edit.key(job, choice["hypothesis"])
    path = strip_path(job.run, edit.direction, pair_id)
    singles = {amount: full_path(job.run, edit.direction, pair_id, amount) for amount in edit.amounts if edit.full}
    if all(has_key(file, key) for file in (*singles.values(), path)):
        return path, False
    hypothesis, method = Hypothesis.parse(choice["hypothesis"]), _editing(run)
    arrays = {"latents": lane_value(run.store, "latents", pair_id, hypothesis.id)}
    facts = {"mgi:pair": pair_id, "mgi:direction": edit.direction.name, "mgi:hypothesis": hypothesis.id}
    cells = seen(run, pair_id)
    for amount in edit.amounts:
        image = method.edit(arrays, hypothesis, edit.direction, amount, None if edit.full else 1)
        if edit.full:
            write_keyed(singles[amount], image, key, {**facts, "mgi:amount": words_of(amount)})
        cells.append(("inversion" if amount == 0 else words_of(amount), image))
    write_keyed(path, strip([cells]), key, facts)  # last: it says that the others are there
    return path, True


def _editing(run: OpenRun) -> Edits:
    from mgi.translators import Edits

    translator = run.translator()
    if not isinstance(translator, Edits):
        raise ConfigError(f"{run.config.method} keeps no latents to edit; use a run of the inversion family")
    return translator


def seen(run: OpenRun, pair_id: str) -> list[Cell]:
    """The input and, if it is something else, what was inverted: a warp or a degraded picture."""
    source, warp = (picture(run.store, pair_id, name) for name in ("source", "warp"))
    cells: list[Cell] = [("picture" if run.config.task == "invert" else "source", source)]
    if not np.array_equal(source, warp):
        cells.append(("seen" if run.config.task == "invert" else "warp", warp))
    return cells
