"""How long a run will take: pieces of it, measured on this machine (`tasks.estimates.probe`), multiplied out."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mgi.config import Inversion, RunConfig, planned_steps
from mgi.devices import best_device
from mgi.own_files import domain_files
from mgi.pairs import Hypothesis, split_face
from storage.images import BadImage, read_image
from tasks.estimates.probe import Probe, broken_off
from tasks.stages.plan import Plan
from tasks.workers.sizing import threads_per_worker

if TYPE_CHECKING:
    from mgi.generators import Generator

Pass = tuple[Hypothesis, ...]
"""Lanes that take their steps together."""


@dataclass(frozen=True)
class Piece:
    """A kind of work: what it is, seconds each, how often, for which hypotheses.

    `measured`: on this machine, not scaled from others.
    """

    what: str
    seconds: float
    count: float
    at: str = ""
    measured: bool = True

    @property
    def total(self) -> float:
        """Total seconds."""
        return self.seconds * self.count


@dataclass(frozen=True)
class Estimate:
    """Work that `workers` processes (0: this process) share in `units` pieces, and what each does at its start."""

    device: str
    threads: int | None
    workers: int
    units: int
    shared: list[Piece] = field(default_factory=list)
    start: list[Piece] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bytes: int = 0
    """Written at most, before compression."""

    def seconds(self, workers: int | None = None) -> float:
        """Wall-clock seconds with this many workers; by default, the estimate's own number."""
        count = max(1, min(self.units, self.workers if workers is None else workers))
        return sum(piece.total for piece in self.start) + sum(piece.total for piece in self.shared) / count

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `seconds` is the whole run."""
        return {"seconds": self.seconds(), **asdict(self)}


def estimate(plan: Plan, workers: int, warping: bool = True) -> Estimate:
    """Measure and multiply. The networks that the inversion needs must be here.

    Args:
        plan: the plan of the run.
        workers: processes that will share the work; 0: this process.
        warping: False leaves out alignment and warp, whose networks may then be missing.
    """
    from tasks.estimates.disk import bytes_per_pair

    config = plan.request.config
    threads = threads_per_worker(workers)
    probe = Probe(config, threads)
    method, notes = probe.method, []
    at_once = max(1, min(method.lanes_per_batch, len(plan.pairs)))
    calls = math.ceil(len(plan.pairs) / at_once)
    passes = Counter(p for group in method.groups for p in passes_of(group, at_once, method.engine.lanes_at_once))
    sample, features = probe.sample()
    shared = [replace(piece, count=piece.count * calls) for piece in _inversion(probe, passes)]
    shared.append(Piece("picture of a hypothesis", sample + features, plan.lanes))
    shared.append(Piece("choice and final picture", sample + 2 * features, len(plan.pairs)))
    pictures = _pictures(plan) if warping else None
    if pictures is None:
        notes.append("without alignment and warp" + (", because no picture could be read" if warping else ""))
    else:
        what = "observed picture" if config.task == "invert" else f"{config.warp.method} warp"
        shared.append(Piece(what, probe.warp(*pictures), len(plan.pairs)))
    start = [Piece("loading of the networks", probe.loading, 1)]
    if not probe.domain_is_here():
        count, each = _domain(config, sample, features)
        start.append(Piece("image of the domain's statistics", each, count))
    if config.inversion.compile:
        notes.append("without the time to compile, and without the gain from it")
    if config.inversion.plateau:
        notes.append("at most: lanes that stop improving end early (inversion.plateau)")
    written = len(plan.pairs) * bytes_per_pair(config, method)
    return Estimate(method.engine.device, threads, workers, calls * len(method.groups), shared, start, notes, written)


def estimate_in_one_go(plan: Plan, workers: int) -> Estimate:
    """Measure one pair and multiply out, for methods that try no hypotheses; a pair that takes long is broken off.

    Args:
        plan: the plan of the run.
        workers: processes that will share the work; 0: this process.
    """
    from mgi.alignment.aligner import Aligner
    from mgi.translators import Conditioned, Progress
    from tasks.estimates.disk import bytes_per_pair
    from tasks.method import inverting, translator_of

    config, threads, began = plan.request.config, threads_per_worker(workers), time.perf_counter()
    translator, device = translator_of(config, threads), best_device()
    start = [Piece("loading of the networks", time.perf_counter() - began, 1)]
    pictures = _pictures(plan)
    if pictures is None:
        return Estimate(device, threads, workers, 1, start=start, notes=["because no picture could be read, alone"])
    align, (source, exemplar) = Aligner(config.align, translator.picture_size), pictures

    def image(progress: Progress) -> object:
        first = align(source, "source")[0]
        if exemplar is None:
            return inverting(translator).reconstruct(first, progress=progress)
        both = first, align(exemplar, "exemplar")[0]
        if isinstance(translator, Conditioned):
            blank = np.zeros((1, *first.shape[:2]), np.float32)
            return translator.translate_conditioned(both, (blank, blank), progress=progress)
        return translator.translate(*both, progress=progress)

    count = len(plan.pairs)
    shared, written = [Piece("image", broken_off(image), count)], count * bytes_per_pair(config, translator)
    return Estimate(device, threads, workers, count, shared, start, bytes=written)


def passes_of(group: Sequence[Hypothesis], pairs: int, at_once: int) -> list[Pass]:
    """The lanes of one call as the solver takes them: those of one layer together, at most `at_once` in a pass."""
    found: list[Pass] = []
    for layer in sorted({hypothesis.composing_layer for hypothesis in group}):
        lanes = [h for _ in range(pairs) for h in group if h.composing_layer == layer]
        found += [tuple(lanes[start : start + at_once]) for start in range(0, len(lanes), at_once)]
    return found


def _inversion(probe: Probe, passes: Counter[Pass]) -> list[Piece]:
    """Steps and starts of one call of every group; the cheapest and the dearest pass are measured, others between."""
    settings, generator = probe.config.inversion, probe.method.engine.generator
    weights = {p: work(generator, p, settings.space in ("multi", "multi-z")) for p in passes}
    order = sorted(passes, key=lambda p: weights[p])
    pieces, setups = [], []
    slope: float | None = None
    for coarse in (True, False):
        steps = {p: _steps(probe, p, coarse) for p in order}
        kind = [p for p in order if steps[p]]
        if not kind:
            continue
        known: dict[float, float] = {}
        for p in dict.fromkeys((kind[0], kind[-1])):
            if known and _at(known, weights[p], slope) * 3 > probe.left():  # the start costs a step too
                continue
            known[weights[p]], setup = probe.step(p, coarse)
            setups.append(setup)
        name = "coarse step" if coarse else "full step"
        for p in kind:
            seconds, measured = _at(known, weights[p], slope), weights[p] in known
            pieces.append(Piece(name, seconds, steps[p] * passes[p], _lanes(p), measured))
        if len(known) > 1:  # both kinds of steps differ between passes in the same layers
            slope = max(0.0, _at(known, weights[kind[0]] + 1) - _at(known, weights[kind[0]]))
    return [*pieces, Piece("start of the inversion", min(setups), sum(passes.values()))]


def work(generator: Generator, lanes: Pass, several: bool) -> float:
    """Multiplications of the generator's convolutions in one pass, up to a common factor.

    Args:
        several: every code goes through the layers below the composition (spaces multi); else there is one code.
    """
    sizes = [generator.layer_size(layer) ** 2 for layer in range(1, generator.layers + 1)]
    channels = [generator.z_dim, *(generator.layer_channels(layer) for layer in range(1, generator.layers + 1))]
    each = [size * before * after for size, before, after in zip(sizes, channels, channels[1:], strict=False)]
    total = 0.0
    for lane in lanes:
        codes, layer = (lane.num_codes, lane.composing_layer) if several else (1, 1)
        total += codes * sum(each[:layer]) + sum(each[layer:])
    return total


def _at(known: dict[float, float], weight: float, slope: float | None = None) -> float:
    """Seconds at a weight: on the line through the two known points, or through the only one.

    Args:
        slope: seconds per weight where only one is known; None: in proportion to it.
    """
    points = sorted(known.items())
    (first, low), (last, high) = points[0], points[-1]
    if first != last:
        slope = (high - low) / (last - first)
    return low * weight / first if slope is None else low + slope * (weight - first)


def _steps(probe: Probe, lanes: Pass, coarse: bool) -> float:
    """Mean number of steps of a kind that a lane of a pass takes; rungs make it smaller."""
    settings = probe.config.inversion
    early = min(settings.coarse_steps, settings.steps - 1)
    before = _lane_steps(settings, early if probe.method.engine.space.has_coarse(lanes[0].composing_layer) else 0)
    return before if coarse else _lane_steps(settings, settings.steps) - before


def _lane_steps(settings: Inversion, until: int) -> float:
    """Mean number of steps of a lane among the first `until`."""
    if not until:
        return 0.0
    return planned_steps(settings.model_copy(update={"steps": until})) / len(settings.all_hypotheses())


def _lanes(lanes: Pass) -> str:
    """`L05N10`, or `4 lanes of L05N10`, or `8 lanes of L05N10 to L05N40`."""
    ids = sorted({lane.id for lane in lanes})
    shown = ids[0] if len(ids) == 1 else f"{ids[0]} to {ids[-1]}"
    return shown if len(lanes) == 1 else f"{len(lanes)} lanes of {shown}"


def _pictures(plan: Plan) -> tuple[np.ndarray, np.ndarray | None] | None:
    """The first pair that can be read."""
    request = plan.request
    for pair in plan.pairs[:5]:
        try:
            source = read_image(Path(request.sources) / split_face(pair.source)[0]).pixels
            return source, read_image(Path(request.exemplars) / pair.exemplar).pixels if pair.exemplar else None
        except (BadImage, OSError):
            continue
    return None


def _domain(config: RunConfig, sample: float, features: float) -> tuple[int, float]:
    """How many images the domain's statistics need, and the seconds for each."""
    if config.selection.domain == "generator":
        return config.selection.domain_samples, sample + features
    return len(domain_files(config)), features
