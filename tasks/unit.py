"""What every stage's unit of work shares: how it finds its run, and what it tells the flow when it is done.

A unit is the smallest thing that a resumed run does not repeat: one pair in one stage, or one lane (pair and
hypothesis) of the inversion. Units are plain functions of a `Job` and ids. They open the store themselves, so any
process that sees the run's folder can run them; the store's markers, not their return values, say what is done.
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
from mgi.own_files import own_hashes
from mgi.pairs import Pair
from storage.run_header import check_weights
from storage.run_store import RunStore
from tasks.method import method_of
from tasks.stored import stored_config

if TYPE_CHECKING:
    from mgi.translators import Method


WARP, INVERT, SCORE, SELECT = "warp", "invert", "score", "select"
"""Stages, which are also the folders of their markers."""
REPORT = "report"
"""Stage and marker of the report."""


@dataclass(frozen=True)
class Job:
    """Where a unit's run is and how it is to be computed. Small and hashable: it travels with every unit.

    `digest` is the configuration's: a worker that outlives a run must not mistake another run in the same folder for
    it. `threads` are PyTorch's CPU threads (None: its default).
    """

    run: str
    digest: str
    threads: int | None = None

    def open(self) -> OpenRun:
        """The run, opened once per process and `run.json`.

        Another run may take the place of this one, even of the same configuration, while a worker lives.
        """
        return _open(self, _stamp(Path(self.run) / "run.json"))


@dataclass(frozen=True)
class Outcome:
    """What a unit tells the flow: its key, its pair, its seconds, and why it failed if it did.

    `skipped` means that a valid marker was there before. A failed unit of the inversion is one lane; a failed unit of
    another stage is the whole pair, which then goes to quarantine.
    """

    stage: str
    key: str
    pair_id: str
    seconds: float = 0.0
    failed: str | None = None
    skipped: bool = False


class OpenRun:
    """A run's store, configuration and method, as one process uses them."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.store = RunStore.open(job.run)
        self.config = stored_config(self.store.header, job.run)
        if self.store.header["digest"] != job.digest:  # as it was written: newer versions may hash it otherwise
            raise ConfigError(f"{job.run} holds another configuration than when this command started; run it again")

    @property
    def seed(self) -> int:
        """The seed that the user gave; every lane derives its own from it."""
        return int(self.store.header["inputs"]["seed"])

    @cached_property
    def _pairs(self) -> dict[str, tuple[int, Pair]]:
        rows = self.store.pairs[["index", "id", "source", "exemplar"]].itertuples(index=False)
        return {str(id): (int(index), Pair(str(source), str(exemplar))) for index, id, source, exemplar in rows}

    def pair_ids(self) -> list[str]:
        """Ids of all pairs in the plan's order."""
        return list(self._pairs)

    def index(self, pair_id: str) -> int:
        """The pair's row in every array of the store."""
        return self._pairs[pair_id][0]

    def files(self, pair_id: str) -> list[str]:
        """Paths of the pair's source and exemplar, or of the picture alone where pictures are inverted."""
        inputs, pair = self.store.header["inputs"], self._pairs[pair_id][1]
        sides = [(inputs["sources"], pair.source), (inputs["exemplars"], pair.exemplar)]
        return [os.path.join(folder, name) for folder, name in sides if name]  # noqa: PTH118 - thousands, at every start

    def method(self) -> Method:
        """The run's method; the first call in a process loads networks.

        Raises:
            storage.run_store.RunConflict: its files are not those with which the run began.
        """
        return self._method

    @cached_property
    def _method(self) -> Method:
        check_own_files(self.store, self.config)  # here, too: a worker may see another file under the path
        return method_of(self.config, self.job.threads)


@lru_cache(maxsize=2)
def _open(job: Job, stamp: tuple[int, int] | None) -> OpenRun:
    return OpenRun(job)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None  # whoever opens the run says what is wrong
    return found.st_ino, found.st_mtime_ns


def check_own_files(store: RunStore, config: RunConfig) -> None:
    """Nothing, where generator, mask and domain are the files with which a run began.

    Raises:
        storage.run_store.RunConflict: one was replaced under its name; one line that names it.
    """
    check_weights(store.path, store.header.get("weights") or {}, own_hashes(config))


def lane_key(pair_id: str, hypothesis_id: str) -> str:
    """Marker key of one lane. Pair ids hold no dot, so the key splits again: `rpartition('.')`."""
    return f"{pair_id}.{hypothesis_id}"


def reason_of(error: Exception) -> str:
    """Why an item failed, in one line; re-raises what is wrong with the machine or the set-up and not with the item.

    A full disk, missing weights or exhausted memory would fail every item alike: quarantining them one after the
    other would hide the cause and waste hours.
    """
    from mgi.weights import WeightsError

    if isinstance(error, (OSError, MemoryError, ConfigError, WeightsError)):
        raise error
    return one_line(error)


def one_line(error: BaseException) -> str:
    """An exception's message as one line; exceptions of others also get their type's name."""
    text = " ".join(str(error).split()) or "no further information"
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}"
    ours = type(error).__module__.partition(".")[0] in {"mgi", "storage", "tasks", "flows"}
    return text if ours else f"{type(error).__name__}: {text}"


def is_disk_full(error: BaseException) -> bool:
    """Whether the file system refused to hold more: no space, quota, or a limit on the size of files."""
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """What JSON can hold of a method's measures: numbers of any library as Python's, NaN and infinity left out."""
    kept: dict[str, Any] = {}
    for name, value in values.items():
        if hasattr(value, "item"):
            value = value.item()
        if not (isinstance(value, float) and not math.isfinite(value)):
            kept[name] = value
    return kept


def payload_rows(store: RunStore, stage: str, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Payloads of those of `keys` that are done in `stage`."""
    found = {key: store.done(stage, key) for key in keys}
    return {key: payload for key, payload in found.items() if payload is not None}
