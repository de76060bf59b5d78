"""What is done of a run and what is left: decided only here, from the table of stages and the markers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from storage.run_store import RunStore
from tasks.stages.base import Stage
from tasks.stages.table import stages_of
from tasks.unit import OpenRun, Outcome, pair_of


class Ledger:
    """The state of a run for one process that steers or shows it.

    A stage's folder of markers is listed once, when it is first asked for, and no marker is read. The process that
    steers the run keeps the ledger true by `note` and `forget`; the next command sees what others change meanwhile.
    """

    def __init__(self, run: OpenRun) -> None:
        self.run = run
        self.stages = stages_of(run.config)
        self._done: dict[str, set[str]] = {}

    def stage(self, name: str) -> Stage:
        """The stage of this name, which the run must have."""
        return next(stage for stage in self.stages if stage.name == name)

    def done(self, stage: Stage) -> set[str]:
        """Keys of a stage's units that are done."""
        if stage.name not in self._done:
            self._done[stage.name] = _keys_done(self.run.store, stage)
        return self._done[stage.name]

    def left(self, stage: Stage, pair_ids: Iterable[str]) -> dict[str, list[str]]:
        """{pair id: keys of its units that are not done}, for pairs that have any."""
        done = self.done(stage)
        keys = {id: [key for key in stage.keys(self.run, id) if key not in done] for id in pair_ids}
        return {pair_id: missing for pair_id, missing in keys.items() if missing}

    def ready(self, stage: Stage, pair_ids: Iterable[str]) -> dict[str, list[str]]:
        """As `left`, without the pairs that an earlier stage must finish first."""
        left = self.left(stage, pair_ids)
        earlier = [other for other in self.stages if other.name in stage.after]
        waiting = {pair_id for other in earlier for pair_id in self.left(other, left)}
        return {pair_id: keys for pair_id, keys in left.items() if pair_id not in waiting}

    def count(self, stage: Stage, pair_ids: Sequence[str]) -> tuple[int, int]:
        """(units of these pairs, those that are done)."""
        total = sum(len(stage.keys(self.run, pair_id)) for pair_id in pair_ids)
        return total, total - sum(map(len, self.left(stage, pair_ids).values()))

    def finished(self, pair_ids: Sequence[str]) -> list[str]:
        """The pairs that have everything a complete pair needs."""
        left = {pair_id for stage in self.stages if stage.required for pair_id in self.left(stage, pair_ids)}
        return [pair_id for pair_id in pair_ids if pair_id not in left]

    def note(self, stage: Stage, outcome: Outcome) -> None:
        """A unit of this stage has ended."""
        if outcome.stage == stage.name and not (outcome.failed and stage.quarantines):
            self.done(stage).add(outcome.key)

    def forget(self, pair_ids: Iterable[str], first: Stage | None = None) -> None:
        """Mark these pairs as not done from the stage `first` on (default: from the first).

        The last stage goes first: a process that is killed halfway leaves no result without its earlier stages.
        """
        pairs = set(pair_ids)
        for stage in reversed(self.stages[self.stages.index(first or self.stages[0]) :]):
            for key in self.run.store.keys_done(stage.name):
                if pair_of(key) in pairs:
                    self.run.store.forget(stage.name, key)
            self._done.pop(stage.name, None)

    def forget_unit(self, stage: Stage, key: str) -> None:
        """Mark one unit as not done; whoever calls it forgets first what came after it."""
        self.run.store.forget(stage.name, key)
        self._done.pop(stage.name, None)

    def forget_failures(self, pair_ids: Iterable[str]) -> None:
        """Mark units that published a failure as not done, and all that came after them for their pairs."""
        pairs = set(pair_ids)
        for stage, following in zip(self.stages, [*self.stages[1:], None], strict=True):
            if stage.quarantines:
                continue
            keys = [key for key in self.run.store.keys_done(stage.name) if pair_of(key) in pairs]
            failed = [key for key in keys if (self.run.store.done(stage.name, key) or {}).get("failed")]
            if following is not None:
                self.forget({pair_of(key) for key in failed}, following)
            for key in failed:
                self.run.store.forget(stage.name, key)
            self._done.pop(stage.name, None)


def _keys_done(store: RunStore, stage: Stage) -> set[str]:
    keys = store.keys_done(stage.name)
    if not stage.result:
        return keys
    folder = os.path.dirname(stage.result)  # noqa: PTH120 - text, with {} in it
    try:
        there = {f"{folder}/{name}" for name in os.listdir(store.path / folder)}  # noqa: PTH208 - names, of thousands
    except FileNotFoundError:
        return set()
    return {key for key in keys if stage.result.format(key) in there}
