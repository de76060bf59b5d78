"""The stages of every method: warp or observe, invert, score, select, render.

What one method does differently from another is settings (space, objective, solver); each has its file beside this
one, which says where they follow its paper. Where the papers are silent, the choice is a named option of `mgi.config`
and its reason is in docs/decisions.md.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mgi.alignment.aligner import Aligner
from mgi.config import ConfigError, RunConfig
from mgi.correspondence.warping import warp_pair
from mgi.degradations import with_luminance
from mgi.directions import Direction, LatentSpace, require_fit
from mgi.features import Backbone, load_backbone
from mgi.generators import is_styled
from mgi.images import down as average
from mgi.images import to_float, to_uint8
from mgi.inversion.compiled import compiled
from mgi.inversion.latents import Latents, pack, size_of, unpack
from mgi.inversion.objective import Objective
from mgi.inversion.search import search
from mgi.inversion.solver import LaneState, Solver, snapshot_steps
from mgi.inversion.spaces import Space
from mgi.pairs import Hypothesis
from mgi.scoring.judge import Judge
from mgi.translators.base import Arrays, Lane, LaneFeatures, LaneResult, Progress, ScoreInput, WarpOutput
from mgi.translators.inversion.comparison import Comparison, working_size
from mgi.translators.inversion.loading import prepared_generator, space_of
from mgi.translators.inversion.measures import Ruler

GPU_PAIRS = 4
"""Pairs per call on a GPU."""
BATCH_PIXELS = {"cpu": 2**17, "cuda": 2**22}
"""Image pixels that share a pass: 4 lanes at 1024 on a GPU (2 GiB of activations each); on a CPU one lane from 512 on,
where a larger batch computes no faster (docs/inversion.md)."""


class InversionMethod:
    """All methods; see `mgi.translators.base.Method` for the stages.

    Args:
        config: every setting.
        device: torch device of all networks.
    """

    def __init__(self, config: RunConfig, device: str) -> None:
        self.config, self.device = config, device
        self.lanes_per_batch = 1 if device == "cpu" else GPU_PAIRS
        self._backbones: dict[str, Backbone] = {}
        self.generator = prepared_generator(config, device)
        self.size = working_size(config, self.generator.resolution)
        self.down = self.generator.resolution // self.size
        self._compare = Comparison.of(config, self.generator.resolution, device)
        self._align = Aligner(config.align, self._compare.picture)
        self.lanes_at_once = max(1, BATCH_PIXELS["cpu" if device == "cpu" else "cuda"] // self.generator.resolution**2)
        self.space: Space = space_of(self.generator, config, device)
        self.judge = Judge(config, self.generator, self._backbone(config.selection.backbone), device, self.size)

    # ------------------------------------------------------------------ stages

    @property
    def picture_size(self) -> int:
        """Rows of sources, exemplars and warps, and of pictures that are inverted."""
        return self._compare.picture

    @property
    def groups(self) -> list[list[Hypothesis]]:
        """Hypotheses that have to be inverted by the same call: all where they help or compete, else each alone."""
        settings = self.config.inversion
        hypotheses = list(settings.all_hypotheses())
        return [hypotheses] if settings.rungs or settings.warm_start else [[hypothesis] for hypothesis in hypotheses]

    def warp(
        self, source: np.ndarray, exemplar: np.ndarray, progress: Progress | None = None, seed: int = 0
    ) -> WarpOutput:
        """Align both to the template where a face is found, then warp (equations 1-6), fine-tuned if asked for."""
        start = time.perf_counter()
        aligned_source, how_source = self._align(source, "source")
        aligned_exemplar, how_exemplar = self._align(exemplar, "exemplar")
        warped = warp_pair(
            to_float(aligned_source, self.device),
            to_float(aligned_exemplar, self.device),
            self._backbone(self.config.warp.backbone),
            self.config,
            seed,
            progress,
            self._style_backbone(),
        )
        info: dict[str, float | str] = {
            **warped.info,
            "aligned_source": how_source,
            "aligned_exemplar": how_exemplar,
            "seconds": time.perf_counter() - start,
        }
        return WarpOutput(aligned_source, aligned_exemplar, to_uint8(warped.warp)[0], info, warped.arrays)

    def observe(self, image: np.ndarray, seed: int) -> WarpOutput:
        """A picture to invert: aligned where a face is found, and as it is observed through the degradation."""
        start = time.perf_counter()
        aligned, how = self._align(image, "picture")
        operator, whole = self._compare.observer([seed]), to_float(aligned, self.device)
        # A picture that is given degraded passes unchanged: grey stays grey, holes stay holes, squares stay squares.
        small = self.config.inversion.observed == "given" and operator.factor > 1
        observed = operator.shrink(whole) if small else operator(whole)
        # Kept at the size of the picture: every pixel of a smaller observation as a square of its own.
        shown = observed.repeat_interleave(aligned.shape[0] // observed.shape[-1], 2)
        shown = shown.repeat_interleave(aligned.shape[1] // observed.shape[-1], 3)
        info: dict[str, float | str] = {"aligned_source": how, "seconds": time.perf_counter() - start}
        return WarpOutput(aligned, aligned, to_uint8(shown)[0], info)

    def lane_arrays(self, hypothesis: Hypothesis) -> dict[str, tuple[tuple[int, ...], str]]:
        """latents (packed), features for the score, the loss of every step, and latents on the way if asked for."""
        settings = self.config.inversion
        size = size_of(self.space.shapes(hypothesis))
        arrays: dict[str, tuple[tuple[int, ...], str]] = {
            "latents": ((size,), "float32"),
            "features": (self.judge.feature_shape, self.judge.feature_dtype),
            "loss": ((settings.steps,), "float32"),
        }
        if settings.snapshots:
            arrays["way"] = ((len(snapshot_steps(settings)), size), "float32")
        return arrays

    def invert(self, lanes: list[Lane], progress: Progress | None = None) -> list[LaneResult]:
        """Equation 7 for every lane, then one render to measure what was reached."""
        settings = self.config.inversion
        began = time.perf_counter()
        pictures = list(dict.fromkeys(lane.pair_id for lane in lanes))
        first = {pair_id: next(lane for lane in lanes if lane.pair_id == pair_id) for pair_id in pictures}
        kept = to_float(np.stack([first[p].warp for p in pictures]), self.device)
        seen, target = self._reduced_to_size(kept), self._compare.target(kept)
        seeds = [first[p].observation_seed for p in pictures]
        observer, operator = self._compare.observer(seeds), self._compare.operator(seeds)
        backbone = self._backbone(settings.perceptual_backbone) if settings.perceptual_weight else None
        images = self.space.images
        if settings.compile:
            backbone, images = compiled(backbone) if backbone else None, compiled(images)  # type: ignore[assignment]
        objective = Objective(operator.shrink(target), settings, backbone, operator, self.space.points)
        states = [
            LaneState(
                lane.hypothesis,
                pictures.index(lane.pair_id),
                self.space.start(lane.hypothesis, lane.seed, self.device),
                lane.seed,
            )
            for lane in lanes
        ]
        ruler = Ruler(settings, self._backbone)
        starts = [ruler.observed(self._image(state, state.latents), observer, seen, state.picture) for state in states]
        down = self.generator.resolution // self._compare.images
        solver = Solver(self.space, objective, settings, down, self.lanes_at_once, images)
        search(solver, states, settings, self._scores, progress)
        steps = sum(len(state.losses) for state in states)
        optimised = time.perf_counter() - began
        results = []
        for lane, state, start in zip(lanes, states, starts, strict=True):
            if state.best_step < 0:
                results.append(LaneResult({}, {}, failed=f"the loss is not finite since step {state.lost_at}"))
                continue
            image = self._image(state, state.best)
            end = ruler.observed(image, observer, seen, state.picture)
            truth = first[lane.pair_id].truth
            whole = {} if truth is None else ruler.truth(image, self._reduced_to_size(to_float(truth, self.device)))
            measures = {
                "loss": state.best_loss,
                "best_step": float(state.best_step),
                "steps": float(len(state.losses)),
                "finished": float(state.finished),
                **{f"{name}_before": value for name, value in start.items()},
                **{f"{name}_after": value for name, value in end.items()},
                **whole,
                # Of one call: each lane's share by the steps it took.
                "seconds": optimised * len(state.losses) / max(steps, 1),
            }
            results.append(LaneResult(self._arrays(state, image), measures))
        return results

    def reference_features(self, warp: np.ndarray, exemplar: np.ndarray) -> Arrays:
        """Score features of the warp and the exemplar."""
        images = self._reduced_to_size(to_float(np.stack([warp, exemplar]), self.device))
        of_warp, of_exemplar = self.judge.features(images)
        return {"warp": of_warp, "exemplar": of_exemplar}

    def score(self, hypotheses: list[ScoreInput]) -> list[dict[str, float]]:
        """Every rule's distance for every hypothesis."""
        return [self.judge.distances(h.features, h.reference) for h in hypotheses]

    def select(self, table: list[dict[str, Any]]) -> dict[str, Any]:
        """The winner of one pair under the configured rule and guard."""
        return self.judge.select(table)

    def select_set(self, tables: list[list[dict[str, Any]]], features: LaneFeatures) -> list[dict[str, Any]]:
        """One ranking for all pairs, and each pair's choice by it (rule set-fid)."""
        return self.judge.select_set(tables, features)

    @torch.no_grad()
    def render(
        self, arrays: Arrays, hypothesis: Hypothesis, factor: int | None = None, seen: np.ndarray | None = None
    ) -> np.ndarray:
        """The image of a lane at warp.image_size x factor (default: config.upsampling), uint8 [R,R,3].

        Args:
            seen: the picture that was inverted, uint8 [S,S,3]; its luminance is kept where `inversion.merge` says so.
        """
        down = self._down(factor)
        image = self.space.images([self._latents(arrays, hypothesis)], hypothesis.composing_layer, down)
        if seen is not None and self.config.inversion.merge == "luminance":
            image = with_luminance(image, to_float(seen, self.device))
        return to_uint8(image)[0]

    @torch.no_grad()
    def preview(self, arrays: Arrays, hypothesis: Hypothesis) -> np.ndarray:
        """The image at the warp's size or, where that is smaller, the generator's, uint8 [S,S,3]."""
        image = self.space.images([self._latents(arrays, hypothesis)], hypothesis.composing_layer, self.down)
        return to_uint8(image)[0]

    @torch.no_grad()
    def edit(
        self, arrays: Arrays, hypothesis: Hypothesis, direction: Direction, amount: float, factor: int | None = None
    ) -> np.ndarray:
        """A lane moved by `amount` x direction, then as `render`; an amount of 0 is the lane itself, bit by bit.

        Raises:
            ConfigError: the direction does not fit the generator or the space of the lane.
        """
        styles = self.generator.styles if is_styled(self.generator) else 1
        require_fit(direction, self.generator.z_dim, styles, self._edit_space())
        latents = self._latents(arrays, hypothesis)
        if amount:
            latents = self.space.edited(latents, torch.from_numpy(direction.vector).to(self.device), amount)
        return to_uint8(self.space.images([latents], hypothesis.composing_layer, self._down(factor)))[0]

    # ------------------------------------------------------------------ parts

    def _down(self, factor: int | None) -> int:
        """By how much the generator's image is reduced to warp.image_size x factor."""
        size = self.config.warp.image_size * (factor or self.config.upsampling)
        return max(1, self.generator.resolution // size)

    def _edit_space(self) -> LatentSpace:
        """Where lanes are moved: w, or z where the codes are kept in z or the generator has no styles."""
        if not is_styled(self.generator) or self.config.inversion.space == "z":
            return "z"
        if self.config.inversion.space == "multi-z":
            raise ConfigError("codes in z under a tail of styles share no direction; invert with inversion.space=multi")
        return "w"

    def _latents(self, arrays: Arrays, hypothesis: Hypothesis) -> Latents:
        packed = torch.from_numpy(np.array(arrays["latents"], dtype=np.float32)).to(self.device)
        return unpack(packed, self.space.shapes(hypothesis))

    @torch.no_grad()
    def _image(self, state: LaneState, latents: Latents) -> Tensor:
        """[1, 3, S, S] at the size of comparison."""
        return self.space.images([latents], state.hypothesis.composing_layer, self.down)

    def _arrays(self, state: LaneState, image: Tensor) -> Arrays:
        settings = self.config.inversion
        losses = np.full(settings.steps, np.nan, np.float32)
        losses[: len(state.losses)] = state.losses
        arrays = {
            "latents": pack(state.best).cpu().numpy(),
            "features": self.judge.features(image)[0],
            "loss": losses,
        }
        if settings.snapshots:
            count = len(snapshot_steps(settings))
            way = [*state.snapshots, *[pack(state.best)] * (count - len(state.snapshots))]
            arrays["way"] = torch.stack(way[:count]).cpu().numpy()
        return arrays

    def _scores(self, states: Sequence[LaneState]) -> list[float]:
        """Distances to the domain, for rungs; rules that need a pair's own pictures or the whole set use spatial-fd."""
        rule = self.config.selection.rule
        images = [self._image(state, state.best) for state in states]
        return [self.judge.domain_distance(self.judge.features(image)[0], rule) for image in images]

    def _backbone(self, name: str) -> Backbone:
        if name not in self._backbones:
            self._backbones[name] = load_backbone(name, self.device, self.config.inversion.precision)
        return self._backbones[name]

    def _style_backbone(self) -> Backbone | None:
        """The network of OEFT's style losses, where it is one of its own."""
        name = self.config.oeft.style_backbone
        return None if self.config.warp.method == "plain" or name == "warp" else self._backbone(name)

    def _reduced_to_size(self, images: Tensor) -> Tensor:
        return average(images, images.shape[-1] // self.size)
