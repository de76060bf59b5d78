"""What every stage's unit of work shares: how it finds its run, and what it tells the flow at the end.

A unit is the smallest thing that a resumed run does not repeat: one pair in one stage, or one lane (pair and
hypothesis) of the inversion (`tasks.stages.base`). Units are plain functions of a `Job` and ids. They open the store
themselves, so any process that sees the run's folder can run them; the store's markers, not the return values, say what
is done.
"""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgi.config import ConfigError, RunConfig
from mgi.pairs import Pair, split_face
from storage.run_header import check_weights
from storage.run_store import RunStore
from storage.unit_keys import pair_of
from tasks.evaluation import keys_of
from tasks.method import searching, translator_of
from tasks.stored import stored_config

if TYPE_CHECKING:
    import numpy as np

    from mgi.alignment.aligner import Aligner
    from mgi.translators import Searches, Translator


WARP, INVERT, SCORE, SELECT = "warp", "invert", "score", "select"
TRANSLATE, EVALUATE = "translate", "evaluate"
"""Stages whose markers other code reads. `tasks.stages.table` says which stages there are, and in which order."""
REPORT = "report"
"""Stage and marker of the report."""

_OURS = {"mgi", "storage", "tasks", "flows", __name__.partition(".")[0]}
"""Packages whose errors need no type; the last is the one that a wheel has ours in."""


@dataclass(frozen=True)
class Job:
    """Where a unit's run is and how to compute it. Small and hashable: it travels with every unit.

    `digest` is the configuration's: a worker that outlives a run must not mistake another run in the same folder for
    it. `threads` are PyTorch's CPU threads (None: its default).
    """

    run: str
    digest: str
    threads: int | None = None

    @classmethod
    def of(cls, store: RunStore) -> Job:
        """The job of the run in a store."""
        return cls(str(store.path.resolve()), store.header["digest"], store.header.get("threads"))

    @classmethod
    def of_folder(cls, run: str | Path) -> Job:
        """The job of the run in a folder. Raises storage.run_store.NoRun: there is none."""
        return cls.of(RunStore.open(run))

    def open(self) -> OpenRun:
        """The run, opened once per process and version of `run.json`.

        While a worker lives, another run may replace this one, even with the same configuration.
        """
        return _open(self, _stamp(Path(self.run) / "run.json"))


@dataclass(frozen=True)
class Outcome:
    """What a unit tells the flow: its key, its pair, its seconds, and why it failed if it did.

    `skipped` means that a valid marker was there before. The stage says whether a failure quarantines the whole pair or
    counts for the unit alone (`Stage.quarantines`).
    """

    stage: str
    key: str
    pair_id: str
    seconds: float = 0.0
    failed: str | None = None
    skipped: bool = False


class OpenRun:
    """A run's store, configuration and method, as one process uses them."""

    def __init__(self, store: RunStore, job: Job | None = None) -> None:
        self.store = store
        self.job = job or Job.of(store)
        self.config = stored_config(store.header, self.job.run)
        if store.header["digest"] != self.job.digest:  # as it was written: newer versions may hash it differently
            said = "holds another configuration than when this command started; run it again"
            raise ConfigError(f"{self.job.run} {said}")

    @property
    def seed(self) -> int:
        """The user's seed; every lane derives its own from it."""
        return int(self.store.header["inputs"]["seed"])

    @cached_property
    def _pairs(self) -> dict[str, tuple[int, Pair]]:
        rows = self.store.pairs[["index", "id", "source", "exemplar"]].itertuples(index=False)
        return {str(id): (int(index), Pair(str(source), str(exemplar))) for index, id, source, exemplar in rows}

    @cached_property
    def hypotheses(self) -> list[str]:
        """Ids of all hypotheses, in the order of the report."""
        return [hypothesis.id for hypothesis in self.config.hypotheses()]

    @cached_property
    def metric_keys(self) -> list[str]:
        """`<metric>@<digest>` of the metrics that are measured for every pair."""
        return keys_of(self.store.header)

    def pair_ids(self) -> list[str]:
        """Ids of all pairs in the plan's order."""
        return list(self._ids)

    @cached_property
    def _ids(self) -> list[str]:
        return self.store.pair_ids()  # without pandas

    def index(self, pair_id: str) -> int:
        """The pair's row in every array of the store."""
        return self._pairs[pair_id][0]

    def pair(self, pair_id: str) -> Pair:
        """The pair's source and exemplar, as the plan names them."""
        return self._pairs[pair_id][1]

    def files(self, pair_id: str) -> list[str]:
        """Paths of the pair's source and exemplar, or of the picture alone if pictures are inverted."""
        inputs, pair = self.store.header["inputs"], self._pairs[pair_id][1]
        sides = [(inputs["sources"], pair.source), (inputs["exemplars"], pair.exemplar)]
        named = [(folder, split_face(name)[0]) for folder, name in sides if name]
        return [os.path.join(folder, name) for folder, name in named]  # noqa: PTH118 - thousands, at every start

    def face(self, pair_id: str) -> int:
        """Which face of the source's picture the pair is about; 1 is the largest."""
        return split_face(self._pairs[pair_id][1].source)[1]

    def translator(self) -> Translator:
        """The run's translator; the first call in a process loads networks.

        Raises:
            storage.run_store.RunConflict: its files are not those that the run began with.
        """
        return self._translator

    def method(self) -> Searches:
        """The run's translator, which tries hypotheses."""
        return searching(self._translator)

    @cached_property
    def _translator(self) -> Translator:
        check_own_files(self.store, self.config)  # here too: a worker may see another file under the path
        return translator_of(self.config, self.job.threads)

    @cached_property
    def align(self) -> Aligner:
        """Turns pictures of any shape into uint8 [S, S, 3], with the same crop for every method."""
        from mgi.alignment.aligner import Aligner

        return Aligner(self.config.align, self._translator.picture_size)


@lru_cache(maxsize=2)
def _open(job: Job, stamp: tuple[int, int] | None) -> OpenRun:
    return OpenRun(RunStore.open(job.run), job)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None  # opening the run says what is wrong
    return found.st_ino, found.st_mtime_ns


def check_own_files(store: RunStore, config: RunConfig) -> None:
    """Check that generator, mask and domain are the files that a run began with.

    Raises:
        storage.run_store.RunConflict: one was replaced under its name; one line that names it.
    """
    from mgi.own_files import own_hashes  # reads the zoo, which `mgi status` need not

    check_weights(store.path, store.header.get("weights") or {}, own_hashes(config))


def searches(config: RunConfig) -> bool:
    """Whether the method tries hypotheses and chooses; the others make a pair's image in one go."""
    return config.searches


def picture(store: RunStore, pair_id: str, name: str) -> np.ndarray:
    """`source`, `exemplar` or `warp` of a pair, uint8 [S, S, 3], as the pair's first stage published it.

    Raises:
        KeyError: it has none. storage.run_store.StoreCorrupt: it was damaged since.
    """
    stage = TRANSLATE if store.marker(WARP, pair_id) is None else WARP
    return store.value(stage, pair_id, f"warp/{name}")


def done_already(run: OpenRun, stage: str, keys: Iterable[str]) -> list[Outcome]:
    """A skipped outcome for each of these units that is done.

    Every unit asks, although only units that are left are called: a worker may have died after writing the marker, and
    Dask then calls the unit again.
    """
    done = [key for key in keys if run.store.done(stage, key) is not None]
    return [Outcome(stage, key, pair_of(key), skipped=True) for key in done]


def reason_of(error: Exception) -> str:
    """Why an item failed, in one line; errors of the machine or the set-up are raised again.

    A full disk, missing weights or exhausted memory would fail every item: quarantining them one after the other would
    hide the cause and waste hours.
    """
    from mgi.weights import WeightsError

    if isinstance(error, (OSError, MemoryError, ConfigError, WeightsError)):
        raise error
    return one_line(error)


def one_line(error: BaseException) -> str:
    """An exception's message as one line; exceptions from other packages also get their type's name."""
    text = " ".join(str(error).split()) or "no further information"
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}"
    ours = type(error).__module__.partition(".")[0] in _OURS
    return text if ours else f"{type(error).__name__}: {text}"


def is_disk_full(error: BaseException) -> bool:
    """Whether the file system is full: no space, a quota, or a limit on the size of files."""
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """What JSON can hold of a method's measures: numbers of any library as Python's, without NaN and infinity."""
    kept: dict[str, Any] = {}
    for name, value in values.items():
        if hasattr(value, "item"):
            value = value.item()
        if not (isinstance(value, float) and not math.isfinite(value)):
            kept[name] = value
    return kept


def payload_rows(store: RunStore, stage: str, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Payloads of those of `keys` that are done in `stage`; `storage.run_store.StoreCorrupt` if a marker is damaged."""
    found = {key: store.payload(stage, key) for key in keys}
    return {key: payload for key, payload in found.items() if payload is not None}
