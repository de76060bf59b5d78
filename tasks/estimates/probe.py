"""Seconds for single pieces of a run on this machine: the real method does each of them once or a few times."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from mgi.config import RunConfig
from mgi.pairs import Hypothesis

if TYPE_CHECKING:
    from mgi.translators import Progress
    from mgi.translators.inversion.translator import InversionTranslator

BUDGET_S = 20.0
"""Seconds that all measurements together should take; a single step that takes longer is still finished."""
ENOUGH_S, ENOUGH_STEPS = 2.0, 10
"""Steps of one kind are timed until they reach this many seconds or steps."""
MANY = 1000
"""Steps of the trial schedule: more than it will ever take."""
_SEED = 0


class _Enough(Exception):
    """Stops a piece of work once it has been timed long enough."""


class Probe:
    """Times pieces of a run; each method returns seconds.

    Args:
        config: of the run.
        threads: CPU threads of PyTorch, as the run's workers have.
    """

    def __init__(self, config: RunConfig, threads: int | None) -> None:
        from mgi.alignment.aligner import Aligner
        from mgi.translators import load_translator

        self._began = time.perf_counter()
        self.config = config
        self.method: InversionTranslator = load_translator(config, threads=threads)  # type: ignore[assignment]
        self.loading = time.perf_counter() - self._began
        self._align = Aligner(config.align, self.method.picture_size)
        self._judging = self.method.engine.metric_network(config.selection.backbone)
        self._random = np.random.default_rng(_SEED)

    def left(self) -> float:
        """Seconds left of the budget."""
        return BUDGET_S - (time.perf_counter() - self._began)

    def step(self, lanes: Sequence[Hypothesis], coarse: bool) -> tuple[float, float]:
        """One pass of these lanes, which share it, optimised towards noise: (one step, what precedes the first).

        The first step of a kind warms up caches and is not counted, unless it alone took longer than the budget.
        """
        from mgi.translators import Lane

        schedule = {"steps": MANY, "coarse_steps": MANY if coarse else 0, "compile": False}
        watched = self._with_inversion(**schedule, rungs=(), warm_start=0, plateau=0, snapshots=0)
        size = self.method.picture_size
        target = self._random.integers(0, 256, (size, size, 3), dtype=np.uint8)
        marks = [time.perf_counter()]

        def progress(done: int, planned: int, loss: float) -> None:
            marks.append(time.perf_counter())
            counted, seconds = len(marks) - 2, marks[-1] - marks[1]
            if marks[-1] - marks[0] > BUDGET_S or (counted and (seconds > ENOUGH_S or counted >= ENOUGH_STEPS)):
                raise _Enough

        pictures = [f"trial-{number}" for number in range(len(lanes))]
        with suppress(_Enough):
            watched.invert([Lane(p, target, lane, _SEED) for p, lane in zip(pictures, lanes, strict=True)], progress)
        if len(marks) == 2:
            return marks[1] - marks[0], 0.0
        step = (marks[-1] - marks[1]) / (len(marks) - 2)
        return step, max(0.0, marks[1] - marks[0] - step)

    def warp(self, source: np.ndarray, exemplar: np.ndarray | None) -> float:
        """Alignment and warp of one pair, or alignment and observation of one picture, uint8 [H, W, 3]."""
        if exemplar is None:
            return second(lambda: self.method.observe(self._align(source, "picture")[0], _SEED))
        plain = self._with(warp=self.config.warp.model_copy(update={"method": "plain"}))
        seconds = second(lambda: plain.warp(*self._aligned(source, exemplar)))
        if self.config.warp.method == "plain":
            return seconds
        return seconds + self.config.oeft.iterations * self._fine_tuning(source, exemplar)

    def _aligned(self, source: np.ndarray, exemplar: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._align(source, "source")[0], self._align(exemplar, "exemplar")[0]

    def _fine_tuning(self, source: np.ndarray, exemplar: np.ndarray) -> float:
        """One iteration of OEFT."""
        marks: list[float] = []

        def progress(done: int, planned: int, loss: float) -> None:
            marks.append(time.perf_counter())
            if len(marks) > 1 and (marks[-1] - marks[0] > ENOUGH_S or len(marks) > ENOUGH_STEPS):
                raise _Enough

        began = time.perf_counter()
        with suppress(_Enough):
            self.method.warp(*self._aligned(source, exemplar), progress=progress)
        return (marks[-1] - marks[0]) / (len(marks) - 1) if len(marks) > 1 else time.perf_counter() - began

    def sample(self) -> tuple[float, float]:
        """Seconds for (one image of the generator, one image's features for the score)."""
        from mgi.metrics.locations import grid_features
        from mgi.metrics.samples import generated_images

        images: list[Any] = []
        engine, chosen = self.method.engine, self.config.selection
        make = second(lambda: images.extend(generated_images(engine.generator, 1, engine.size, engine.device)))
        return make, second(lambda: grid_features(images[0], self._judging, chosen.layer))

    def domain_is_here(self) -> bool:
        """Whether the statistics that results are compared with ship with mgi or were measured before."""
        from mgi.scoring.judge import Judge

        engine = self.method.engine
        generator: Any = _Asked(engine.generator)
        backbone: Any = _Asked(self._judging)
        judge = Judge(self.config, generator, backbone, engine.device, engine.size)
        try:
            _ = judge.domain
        except _Enough:
            return False
        return True

    def _with_inversion(self, **changes: Any) -> InversionTranslator:
        return self._with(inversion=self.config.inversion.model_copy(update=changes))

    def _with(self, **sections: Any) -> InversionTranslator:
        """The same networks with other settings."""
        return self.method.with_config(self.config.model_copy(update=sections))


class _Asked:
    """A network that stops its caller; its facts are those of the network behind it."""

    def __init__(self, network: Any) -> None:
        self._network = network

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def __call__(self, *inputs: Any) -> Any:
        raise _Enough


def second(work: Callable[[], object]) -> float:
    """Seconds for a piece of work; the second time if the first was short, because the first also loads networks."""
    for _ in range(2):
        began = time.perf_counter()
        work()
        seconds = time.perf_counter() - began
        if seconds > ENOUGH_S:
            break
    return seconds


def broken_off(work: Callable[[Progress], object]) -> float:
    """Seconds for a piece of work that tells its progress: broken off when it takes long, and multiplied out.

    Args:
        work: is given the function that it calls with (step, steps, loss).
    """
    for _ in range(2):
        watch = _Watch()
        with suppress(_Enough):
            work(watch)
            watch.ended()
        if watch.seconds > ENOUGH_S:
            break
    return watch.seconds


class _Watch:
    """Seconds of the whole, from the steps that were seen; ends it once these are enough."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began, self._seen, self._first = time.perf_counter(), 0, (0.0, 0)

    def __call__(self, step: int, steps: int, loss: float) -> None:
        now, self._seen = time.perf_counter(), self._seen + 1
        if self._seen == 1:  # what comes before the first step is not repeated
            self._first = now, step
        first, before = self._first
        if self._seen > ENOUGH_STEPS and now - self._began > BUDGET_S / 4 and before < step < steps:
            self.seconds = first - self._began + (now - first) / (step - before) * (steps - before)
            raise _Enough

    def ended(self) -> None:
        """The work came to its own end."""
        self.seconds = time.perf_counter() - self._began
