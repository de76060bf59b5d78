"""The translator of every method of the family: warp or observe, invert, score, select, render.

What one method does differently from another is settings (space, objective, solver); each has its file in `settings/`,
which says where they follow its paper. Where the papers say nothing, the choice is a named option in `mgi.config` and
the reason is in docs/decisions.md.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from mgi.config import RunConfig
from mgi.directions import Direction
from mgi.images import to_float
from mgi.pairs import Hypothesis
from mgi.scoring.judge import Judge
from mgi.translators.base import (
    Arrays,
    ArrayShapes,
    Lane,
    LaneFeatures,
    LaneResult,
    Progress,
    Result,
    ScoreInput,
    Warped,
)
from mgi.translators.inversion import lanes as solving
from mgi.translators.inversion import rendering
from mgi.translators.inversion.engine import Engine
from mgi.translators.inversion.whole import translate_whole
from mgi.translators.observing import observe
from mgi.translators.options import known_options
from mgi.translators.warping import warp_pictures

GPU_PAIRS = 4
"""Pairs per call on a GPU."""


class InversionTranslator:
    """`Searches` and `Edits`; see `mgi.translators.base`.

    Args:
        config: every setting.
        device: torch device of all networks.

    Raises:
        ConfigError: the generator and the settings cannot work together, or an option, of which it knows none.
    """

    def __init__(self, config: RunConfig, device: str) -> None:
        known_options(config, config.inversion.method, ())
        self.config = config
        self.lanes_per_batch = 1 if device == "cpu" else GPU_PAIRS
        self.engine = engine = Engine(config, device)
        backbone = engine.metric_network(config.selection.backbone)
        self.judge = Judge(config, engine.generator, backbone, device, engine.size)

    def with_config(self, config: RunConfig) -> InversionTranslator:
        """The same networks with other settings of the warp or the search."""
        other = copy.copy(self)
        other.config, other.engine = config, self.engine.with_config(config)
        return other

    @property
    def picture_size(self) -> int:
        """Rows of sources, exemplars and warps, and of pictures that are inverted."""
        return self.engine.compare.picture

    @property
    def groups(self) -> list[list[Hypothesis]]:
        """Hypotheses that one call must invert: all of them if they help each other or compete, else each alone."""
        settings = self.config.inversion
        hypotheses = list(settings.all_hypotheses())
        return [hypotheses] if settings.rungs or settings.warm_start else [[hypothesis] for hypothesis in hypotheses]

    def translate(
        self, source: np.ndarray, exemplar: np.ndarray, seed: int = 0, progress: Progress | None = None
    ) -> Result:
        """Warp, try every hypothesis, choose and render; the pipeline does the same step by step."""
        return translate_whole(self, self.warp(source, exemplar, progress, seed), exemplar, seed, progress, source)

    def reconstruct(self, image: np.ndarray, seed: int = 0, progress: Progress | None = None) -> Result:
        """Try every hypothesis on what is observed of a picture, choose and render."""
        return translate_whole(self, self.observe(image, seed), image, seed, progress)

    def warp(self, source: np.ndarray, exemplar: np.ndarray, progress: Progress | None = None, seed: int = 0) -> Warped:
        """Equations 1-6, fine-tuned on the pair first if `warp.method` says so (OEFT)."""
        engine = self.engine
        network, described = engine.metric_network, engine.descriptor()
        return warp_pictures(self.config, network, described, engine.device, source, exemplar, seed, progress)

    def observe(self, image: np.ndarray, seed: int) -> Warped:
        """A picture as it looks after the degradation."""
        return observe(image, seed, self.config.inversion, self.engine.compare.picture, self.engine.device)

    def lane_arrays(self, hypothesis: Hypothesis) -> ArrayShapes:
        """latents (packed), features for the score, the loss of every step, and the trajectory if asked for."""
        return solving.lane_arrays(self.engine, self.judge, hypothesis)

    def latent_parts(self, hypothesis: Hypothesis) -> Mapping[str, tuple[int, int]]:
        """Parameter groups of the latent space, as `mgi.inversion.latents.pack` joins them."""
        return self.engine.space.shapes(hypothesis)

    def invert(self, lanes: list[Lane], progress: Progress | None = None) -> list[LaneResult]:
        """Equation 7 for every lane."""
        return solving.invert_lanes(self.engine, self.judge, lanes, progress)

    def reference_features(self, warp: np.ndarray, exemplar: np.ndarray) -> Arrays:
        """Score features of the warp and the exemplar."""
        images = self.engine.reduced(to_float(np.stack([warp, exemplar]), self.engine.device))
        of_warp, of_exemplar = self.judge.features(images)
        return {"warp": of_warp, "exemplar": of_exemplar}

    def score(self, hypotheses: list[ScoreInput]) -> list[dict[str, float]]:
        """Every rule's distance for every hypothesis."""
        return [self.judge.distances(h.features, h.reference) for h in hypotheses]

    def select(self, table: list[dict[str, Any]]) -> dict[str, Any]:
        """The winner of one pair under the configured rule and guard: g = y_n*, n* = argmin_n k_n (MGI section 3.2)."""
        return self.judge.select(table)

    def select_set(self, tables: list[list[dict[str, Any]]], features: LaneFeatures) -> list[dict[str, Any]]:
        """One ranking for all pairs, and each pair's choice by it (rule set-fid)."""
        return self.judge.select_set(tables, features)

    def render(
        self, arrays: Arrays, hypothesis: Hypothesis, factor: int | None = None, seen: np.ndarray | None = None
    ) -> np.ndarray:
        """The image of a lane at warp.image_size x factor (default: config.upsampling), uint8 [R,R,3]."""
        return rendering.render(self.engine, arrays, hypothesis, factor, seen)

    def preview(self, arrays: Arrays, hypothesis: Hypothesis) -> np.ndarray:
        """The image at the warp's size, or at the generator's if that is smaller, uint8 [S,S,3]."""
        return rendering.preview(self.engine, arrays, hypothesis)

    def edit(
        self, arrays: Arrays, hypothesis: Hypothesis, direction: Direction, amount: float, factor: int | None = None
    ) -> np.ndarray:
        """A lane moved by `amount` x direction, then as `render`.

        Raises:
            ConfigError: the direction does not fit the generator or the space of the lane.
        """
        return rendering.edit(self.engine, arrays, hypothesis, direction, amount, factor)
