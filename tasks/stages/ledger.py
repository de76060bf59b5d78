"""What is done of a run and what is left: decided only here, from the table of stages and the markers."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence

from storage.run_store import RunStore
from storage.unit_keys import key_of, pair_of, part_of
from tasks.stages.base import Stage
from tasks.stages.table import stages_of
from tasks.unit import OpenRun, Outcome

Parts = frozenset[str]


class Ledger:
    """The state of a run for one process that steers or shows it.

    What is done of a stage is found out once, when it is first asked for, and no marker is read. The process that
    steers the run keeps the ledger true by `note` and `forget`; the next command sees what others change meanwhile.

    Per stage it holds one entry for each pair, and pairs with the same parts share theirs: a run of 70,000 pairs by 20
    hypotheses takes megabytes, not the gigabyte of 1.4 million keys.
    """

    def __init__(self, run: OpenRun) -> None:
        self.run = run
        self.stages = stages_of(run.config)
        self._done: dict[str, dict[str, Parts]] = {}
        self._shared: dict[Parts, Parts] = {}

    def stage(self, name: str) -> Stage:
        """The stage of this name, which the run must have."""
        return next(stage for stage in self.stages if stage.name == name)

    def done(self, stage: Stage) -> Mapping[str, Parts]:
        """{pair id: parts of its units of a stage that are done} of all pairs that have any."""
        return self._parts(stage)

    def is_done(self, stage: Stage, key: str) -> bool:
        """Whether one unit is done."""
        return part_of(key) in self._parts(stage).get(pair_of(key), ())

    def left(self, stage: Stage, pair_ids: Iterable[str]) -> dict[str, list[str]]:
        """{pair id: keys of its units that are not done}, for pairs that have any."""
        done, parts, none, ids = self._parts(stage), stage.parts(self.run), Parts(), list(pair_ids)
        wanted = frozenset(parts)
        if all(wanted <= (have or none) for have in set(map(done.get, ids))):  # few sets, shared by many pairs
            return {}
        lacking = ((id, have) for id in ids if not wanted <= (have := done.get(id, none)))
        return {id: [key_of(id, part) for part in parts if part not in have] for id, have in lacking}

    def ready(self, stage: Stage, pair_ids: Iterable[str]) -> dict[str, list[str]]:
        """As `left`, without the pairs that an earlier stage must finish first."""
        left = self.left(stage, pair_ids)
        earlier = [other for other in self.stages if other.name in stage.after]
        waiting = {pair_id for other in earlier for pair_id in self.left(other, left)}
        return {pair_id: keys for pair_id, keys in left.items() if pair_id not in waiting}

    def count(self, stage: Stage, pair_ids: Sequence[str]) -> tuple[int, int]:
        """(units of these pairs, those that are done)."""
        total = len(stage.parts(self.run)) * len(pair_ids)
        return total, total - sum(map(len, self.left(stage, pair_ids).values()))

    def failed(self, stage: Stage, pair_ids: Collection[str]) -> int:
        """How many units of these pairs published a failure."""
        counts = self.run.store.markers.failed(stage.name)
        alive = set(pair_ids) if counts else set()
        return sum(count for pair_id, count in counts.items() if pair_id in alive)

    def finished(self, pair_ids: Sequence[str]) -> list[str]:
        """The pairs that have everything a complete pair needs."""
        left = {pair_id for stage in self.stages if stage.required for pair_id in self.left(stage, pair_ids)}
        return [pair_id for pair_id in pair_ids if pair_id not in left]

    def note(self, stage: Stage, outcome: Outcome) -> None:
        """A unit of this stage has ended."""
        if outcome.stage == stage.name and not (outcome.failed and stage.quarantines):
            done, pair_id = self._parts(stage), pair_of(outcome.key)
            parts = done.get(pair_id, Parts()) | {part_of(outcome.key)}
            done[pair_id] = self._shared.setdefault(parts, parts)

    def forget(self, pair_ids: Iterable[str], first: Stage | None = None) -> None:
        """Mark these pairs as not done from the stage `first` on (default: from the first).

        The last stage goes first: a process that is killed halfway leaves no result without its earlier stages.
        """
        pairs = list(dict.fromkeys(pair_ids))
        for stage in reversed(self.stages[self.stages.index(first or self.stages[0]) :]):
            there = self.run.store.parts_done(stage.name)
            self.forget_units(stage, [key_of(id, part) for id in pairs for part in sorted(there.get(id, ()))])

    def forget_units(self, stage: Stage, keys: Iterable[str]) -> None:
        """Mark single units as not done; whoever calls it forgets first what came after them."""
        self.run.store.forget(stage.name, *keys)
        self._done.pop(stage.name, None)

    def forget_failures(self, pair_ids: Iterable[str]) -> None:
        """Mark units that published a failure as not done, and all that came after them for their pairs."""
        pairs, store = set(pair_ids), self.run.store
        for stage, following in zip(self.stages, [*self.stages[1:], None], strict=True):
            if stage.quarantines:
                continue
            there = store.parts_done(stage.name)
            held = [id for id in store.markers.failed(stage.name) if id in pairs]
            keys = [key_of(id, part) for id in held for part in there.get(id, ())]
            failed = [key for key in keys if (store.done(stage.name, key) or {}).get("failed")]
            if following is not None:
                self.forget(held, following)
            self.forget_units(stage, failed)

    def _parts(self, stage: Stage) -> dict[str, Parts]:
        if stage.name not in self._done:
            self._done[stage.name] = _with_results(self.run.store, stage, self.run.store.parts_done(stage.name))
        return self._done[stage.name]


def _with_results(store: RunStore, stage: Stage, done: dict[str, Parts]) -> dict[str, Parts]:
    """Without the units whose file for people was moved away."""
    if not stage.result:
        return done
    folder = os.path.dirname(stage.result)  # noqa: PTH120 - text, with {} in it
    try:
        there = set(os.listdir(store.path / folder))  # noqa: PTH208 - names, of thousands
    except FileNotFoundError:
        return {}
    name = os.path.basename(stage.result)  # noqa: PTH119 - text, with {} in it
    begin, _, end = name.partition("{}")
    if all(parts == {""} for parts in set(done.values())) and there >= {f"{begin}{id}{end}" for id in done}:
        return done  # as usual, found out faster

    def there_for(id: str, parts: Parts) -> Parts:
        gone = [part for part in parts if name.format(key_of(id, part)) not in there]
        return parts.difference(gone) if gone else parts  # the shared set, if it is whole

    kept = {id: there_for(id, parts) for id, parts in done.items()}
    return {id: parts for id, parts in kept.items() if parts}
