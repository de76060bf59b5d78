"""Inverting lanes: equation 7 of MGI for every hypothesis on some pictures in one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from mgi.degradations import Degradation
from mgi.images import resize, to_float
from mgi.inversion.compiled import compiled
from mgi.inversion.latents import Latents, pack, size_of
from mgi.inversion.objective import Objective
from mgi.inversion.raising import raised
from mgi.inversion.search import search
from mgi.inversion.solver import LaneState, Solver, snapshot_steps
from mgi.metrics.vgg import NETWORK
from mgi.pairs import Hypothesis
from mgi.scoring.judge import Judge
from mgi.translators.base import Arrays, ArrayShapes, Lane, LaneResult, Progress
from mgi.translators.inversion import measures
from mgi.translators.inversion.engine import Engine
from mgi.translators.inversion.mixing import Mixer


def lane_arrays(engine: Engine, judge: Judge, hypothesis: Hypothesis) -> ArrayShapes:
    """latents (packed), features for the score, the loss of every step, and the trajectory if asked for."""
    settings = engine.config.inversion
    size = size_of(engine.space.shapes(hypothesis))
    arrays: ArrayShapes = {
        "latents": ((size,), "float32"),
        "features": (judge.feature_shape, judge.feature_dtype),
        "loss": ((settings.steps,), "float32"),
    }
    if settings.snapshots:
        arrays["trajectory"] = ((len(snapshot_steps(settings)), size), "float32")
    return arrays


class Targets:
    """The targets of the lanes of a call: each picture once, however many lanes it has."""

    def __init__(self, engine: Engine, lanes: Sequence[Lane]) -> None:
        self._engine = engine
        self._first = {lane.pair_id: lane for lane in reversed(lanes)}
        self.pictures = list(dict.fromkeys(lane.pair_id for lane in lanes))
        kept = to_float(np.stack([self._first[p].warp for p in self.pictures]), engine.device)
        self.seen, self.target = engine.reduced(kept), engine.compare.target(kept)
        seeds = [self._first[p].observation_seed for p in self.pictures]
        self.observer: Degradation = engine.compare.observer(seeds)
        self.operator: Degradation = engine.compare.operator(seeds)
        self._network = engine.metric_network(NETWORK)
        found = [self._first[p].confidence for p in self.pictures]
        self.weights = _weights(found, engine.config.inversion.confidence_weight, engine.device)
        self.mixes = self._mixes()
        self.styles = self._styles(kept)
        if engine.config.inversion.fallback:
            self.target = _filled(self.target, found, [mix and mix[1] for mix in self.mixes])

    def _mixes(self) -> list[tuple[Latents, Tensor] | None]:
        """The style mix of every pair and its image, where lanes start from one."""
        pairs = [self._first[p].pair for p in self.pictures]
        if self._engine.config.inversion.pair_start == "none" or all(pair is None for pair in pairs):
            return [None] * len(pairs)
        mixer = Mixer(self._engine)
        mixes: list[tuple[Latents, Tensor] | None] = []
        for pair in pairs:
            latents = mixer.mixed(*pair) if pair is not None else None
            mixes.append(None if latents is None else (latents, mixer.image(latents)))
        return mixes

    def _styles(self, kept: Tensor) -> Tensor | None:
        """What the encoder says of every picture, [P, styles, D], where lanes start from that."""
        encoder = self._engine.encoder()
        if encoder is None:
            return None
        # Each by itself: in a batch, the last bits would depend on the other pictures.
        return torch.cat([encoder(resize(one, encoder.facts.size)) for one in kept.split(1)])

    def start(self, lane: Lane) -> Latents:
        """Where the lane starts: as its seed draws it, from what the encoder says, or from its pair's style mix."""
        space = self._engine.space
        drawn = space.start(lane.hypothesis, lane.seed, self._engine.device)
        if self.styles is not None:
            drawn = space.placed(drawn, self.styles[self.place(lane)])
        mix = self.mixes[self.place(lane)]
        return drawn if mix is None else space.warmed(drawn, mix[0])

    def place(self, lane: Lane) -> int:
        """The lane's row among the pictures."""
        return self.pictures.index(lane.pair_id)

    def observed(self, image: Tensor, picture: int) -> dict[str, float]:
        """Metrics between an image and what was observed of its picture."""
        return measures.observed(image, self.observer, self.seen, picture, self._network)

    def truth(self, image: Tensor, lane: Lane) -> dict[str, float]:
        """Metrics to the whole picture, if less than that was observed."""
        whole = self._first[lane.pair_id].truth
        if whole is None:
            return {}
        return measures.truth(image, self._engine.reduced(to_float(whole, self._engine.device)), self._network)


def invert_lanes(
    engine: Engine, judge: Judge, lanes: Sequence[Lane], progress: Progress | None = None
) -> list[LaneResult]:
    """Equation 7 for every lane, then one render to measure what was reached."""
    began, targets = time.perf_counter(), Targets(engine, lanes)
    states = [
        LaneState(
            lane.hypothesis,
            targets.place(lane),
            targets.start(lane),
            lane.seed,
        )
        for lane in lanes
    ]
    starts = [targets.observed(_image(engine, state, state.latents), state.picture) for state in states]
    solver = _solver(engine, targets, judge)
    search(
        solver,
        states,
        engine.config.inversion,
        _ranking(engine, judge),
        progress,
    )
    seconds, steps = time.perf_counter() - began, sum(len(state.losses) for state in states)
    results = []
    for lane, state, start in zip(lanes, states, starts, strict=True):
        if state.best_step < 0:
            results.append(LaneResult({}, {}, failed=f"the loss is not finite since step {state.lost_at}"))
            continue
        image = _image(engine, state, state.best)
        found = {
            "loss": state.best_loss,
            "best_step": float(state.best_step),
            "steps": float(len(state.losses)),
            "coarse_steps": float(min(len(state.losses), solver.coarse_steps(state.hypothesis.composing_layer))),
            "bits": 16.0 if engine.precision == "bf16" else 32.0,
            "finished": float(state.finished),
            **{f"{name}_before": value for name, value in start.items()},
            **{f"{name}_after": value for name, value in targets.observed(image, state.picture).items()},
            **targets.truth(image, lane),
            # The seconds of the call, shared among its lanes by the steps each took.
            "seconds": seconds * len(state.losses) / max(steps, 1),
        }
        results.append(LaneResult(_kept(engine, judge, state, image), found))
    return results


def _strengths(engine: Engine, judge: Judge, share: float) -> dict[int, float]:
    """A share of the strength of the domain's bands; nothing for pictures that are inverted as they are."""
    if not share or engine.config.task == "invert":
        return {}
    return {rows: share * strength for rows, strength in judge.detail.deviations.items()}


def _solver(engine: Engine, targets: Targets, judge: Judge) -> Solver:
    settings, space = engine.config.inversion, engine.searching
    backbone = engine.backbone(settings.perceptual_backbone) if settings.perceptual_weight else None
    images = space.images
    if settings.compile:
        backbone, images = compiled(backbone) if backbone else None, compiled(images)  # type: ignore[assignment]
    reduced = targets.operator.shrink(targets.target)
    if asked := _strengths(engine, judge, settings.target_detail):
        reduced = torch.cat([raised(one, asked) for one in reduced.split(1)])
    goals = _strengths(engine, judge, settings.detail_share if settings.detail_weight else 0.0)
    objective = Objective(reduced, settings, backbone, targets.operator, space.points, targets.weights, goals)
    down = engine.generator.resolution // engine.compare.images
    # On a CPU a lane comes out the same whichever other pairs are in its call; on a GPU shared passes are the speed.
    share = engine.device != "cpu"
    return Solver(space, objective, settings, down, engine.lanes_at_once, images, share)


def _weights(found: list[np.ndarray | None], weight: float, device: str) -> Tensor | None:
    """How much places count, [P, 1, G, G] with a mean of 1; None if they count alike."""
    if not weight or any(confidence is None for confidence in found):
        return None
    confidence = torch.from_numpy(np.stack([c for c in found if c is not None])).float()[:, None] / 255
    weights = 1 - weight + weight * confidence
    return (weights / weights.mean((2, 3), keepdim=True).clamp(min=1e-3)).to(device)


def _filled(target: Tensor, found: list[np.ndarray | None], mixes: list[Tensor | None]) -> Tensor:
    """The targets [P, 3, s, s] with their mixes where the warp is not trusted."""
    filled = []
    for one, confidence, mix in zip(target.split(1), found, mixes, strict=True):
        if confidence is None or mix is None:
            filled.append(one)
            continue
        trust = resize(torch.from_numpy(confidence).float()[None, None].to(one) / 255, one.shape[-1])
        filled.append(trust * one + (1 - trust) * resize(mix, one.shape[-1]))
    return torch.cat(filled)


def _ranking(engine: Engine, judge: Judge) -> Callable[[Sequence[LaneState]], list[float]]:
    """Distances to the domain, for rungs; rules that need a pair's own pictures or the whole set use spatial-fd."""
    rule = engine.config.selection.rule

    def scores(states: Sequence[LaneState]) -> list[float]:
        images = [_image(engine, state, state.best) for state in states]
        return [judge.domain_distance(judge.features(image)[0], rule) for image in images]

    return scores


def _image(engine: Engine, state: LaneState, latents: Latents) -> Tensor:
    return engine.image(latents, state.hypothesis.composing_layer)


def _kept(engine: Engine, judge: Judge, state: LaneState, image: Tensor) -> Arrays:
    settings = engine.config.inversion
    losses = np.full(settings.steps, np.nan, np.float32)
    losses[: len(state.losses)] = state.losses
    arrays = {
        "latents": pack(state.best).cpu().numpy(),
        "features": judge.features(image)[0],
        "loss": losses,
    }
    if settings.snapshots:
        count = len(snapshot_steps(settings))
        trajectory = [*state.snapshots, *[pack(state.best)] * (count - len(state.snapshots))]
        arrays["trajectory"] = torch.stack(trajectory[:count]).cpu().numpy()
    return arrays
