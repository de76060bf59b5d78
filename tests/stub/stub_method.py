"""A tiny deterministic method with the shape of the real one, so pipeline tests take milliseconds per lane.

Selected by MGI_METHOD_FACTORY=stub_method:load. Environment variables make it slow or faulty on purpose:
STUB_SECONDS (per lane), STUB_NAN (comma-separated hypotheses that fail everywhere), STUB_FAIL (text: pairs whose id
contains it fail in every hypothesis), STUB_RAISE (pairs whose id contains it raise while warping), STUB_SUICIDE (file:
the first lane to see it deletes it and kills its process; `always` kills on every pair whose id contains STUB_FAIL),
STUB_DEADLY (PAIR:HYPOTHESIS: that lane kills its process).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mgi.config import RunConfig
from mgi.directions import Direction, require_fit
from mgi.pairs import Hypothesis
from mgi.translators import Lane, LaneResult, Result, ScoreInput, Warped
from mgi.translators.given import Given
from mgi.translators.inversion.whole import translate_whole

SIZE, STEPS = 32, 5


class StubMethod:
    """Warps by averaging, inverts by drawing random numbers from the lane's seed."""

    lanes_per_batch = int(os.environ.get("STUB_LANES", "1"))

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.size = self.picture_size = config.warp.image_size

    @property
    def groups(self) -> list[list[Hypothesis]]:
        hypotheses = list(self.config.inversion.all_hypotheses())
        return [hypotheses] if self.config.inversion.rungs else [[hypothesis] for hypothesis in hypotheses]

    def observe(self, image: np.ndarray, seed: int) -> Warped:
        return Warped(warp=image)

    def translate(self, source: np.ndarray, exemplar: np.ndarray, seed: int = 0, progress: Any = None) -> Result:
        return translate_whole(self, self.warp(source, exemplar), exemplar, seed, progress)

    def reconstruct(self, image: np.ndarray, seed: int = 0, progress: Any = None) -> Result:
        return translate_whole(self, self.observe(image, seed), image, seed, progress)

    def warp(
        self, source: np.ndarray, exemplar: np.ndarray, progress: Callable[..., None] | None = None, seed: int = 0
    ) -> Warped:
        if os.environ.get("STUB_RAISE"):
            raise ValueError(os.environ["STUB_RAISE"])
        return Warped(warp=((source.astype(np.uint16) + exemplar) // 2).astype(np.uint8))

    def lane_arrays(self, hypothesis: Hypothesis) -> dict[str, tuple[tuple[int, ...], str]]:
        return {
            "latents": ((hypothesis.num_codes,), "float32"),
            "features": ((4, 4), "float16"),
            "loss": ((STEPS,), "float32"),
        } | ({"trajectory": ((4, hypothesis.num_codes), "float32")} if self.config.inversion.snapshots else {})

    def invert(self, lanes: list[Lane], progress: Callable[..., None] | None = None) -> list[LaneResult]:
        return [self._lane(lane, progress) for lane in lanes]

    def _lane(self, lane: Lane, progress: Callable[..., None] | None) -> LaneResult:
        _maybe_die(lane.pair_id, lane.hypothesis.id)
        for step in range(STEPS):
            time.sleep(float(os.environ.get("STUB_SECONDS", "0")) / STEPS)
            if progress:
                progress(step + 1, STEPS, 1.0 / (step + 1))
        fails = lane.hypothesis.id in os.environ.get("STUB_NAN", "").split(",")
        target = os.environ.get("STUB_FAIL")
        if fails or (target and target in lane.pair_id):
            return LaneResult(arrays={}, measures={"loss": float("nan")}, failed="the loss became NaN at step 3")
        draw = np.random.default_rng(lane.seed)
        arrays = {
            "latents": draw.standard_normal(lane.hypothesis.num_codes, dtype=np.float32),
            "features": draw.standard_normal((4, 4)).astype(np.float16),
            "loss": np.linspace(1, 0.1, STEPS, dtype=np.float32) + np.float32(lane.warp.mean() / 255),
        }
        if self.config.inversion.snapshots:
            arrays["trajectory"] = np.linspace(0, 1, 4, dtype=np.float32)[:, None] * arrays["latents"]
        loss = float(arrays["loss"][-1])
        return LaneResult(arrays, {"loss": loss, "l2_before": 1.0, "l2_after": loss / 2, "seconds": 0.0}, None)

    def reference_features(self, warp: np.ndarray, exemplar: np.ndarray) -> dict[str, np.ndarray]:
        return {"warp": warp.mean((0, 1)), "exemplar": exemplar.mean((0, 1))}

    def score(self, hypotheses: list[ScoreInput]) -> list[dict[str, float]]:
        values = [float(np.abs(item.features.astype(np.float64)).mean()) for item in hypotheses]
        return [{"spatial-fd": value, "sifid": 2 * value, "paper": 3 * value} for value in values]

    def select(self, table: list[dict[str, Any]]) -> dict[str, Any]:
        best = min(table, key=lambda row: row["spatial-fd"])
        return {"hypothesis": best["hypothesis"], "rule": "spatial-fd", "value": best["spatial-fd"], "guarded": []}

    def select_set(self, tables: list[list[dict[str, Any]]], features: Any) -> list[dict[str, Any]]:
        assert all(features(n, row["hypothesis"]).shape == (4, 4) for n, table in enumerate(tables) for row in table)
        best = min(row["hypothesis"] for table in tables for row in table)
        return [{"hypothesis": best, "rule": "set-fid", "value": 1.0, "guarded": []} for _ in tables]

    def render(
        self, arrays: dict[str, np.ndarray], hypothesis: Hypothesis, factor: int | None = None, seen: Any = None
    ) -> np.ndarray:
        side = self.size * (factor or self.config.upsampling)
        draw = np.random.default_rng(np.frombuffer(arrays["latents"].tobytes(), np.uint32))
        coarse = draw.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))

    def preview(self, arrays: dict[str, np.ndarray], hypothesis: Hypothesis) -> np.ndarray:
        return self.render(arrays, hypothesis, factor=1)

    def edit(
        self,
        arrays: dict[str, np.ndarray],
        hypothesis: Hypothesis,
        direction: Direction,
        amount: float,
        factor: int | None = None,
    ) -> np.ndarray:
        require_fit(direction, hypothesis.num_codes, 0, "z")
        moved = arrays["latents"] + np.float32(amount) * direction.vector
        return self.render({"latents": moved.astype(np.float32)}, hypothesis, factor)


def _maybe_die(pair_id: str, hypothesis: str) -> None:
    pair, _, lane = os.environ.get("STUB_DEADLY", "").partition(":")
    if lane == hypothesis and pair in pair_id:
        os.kill(os.getpid(), signal.SIGKILL)
    order = os.environ.get("STUB_SUICIDE")
    if order == "always" and os.environ["STUB_FAIL"] in pair_id:
        os.kill(os.getpid(), signal.SIGKILL)
    if order and order != "always":
        try:
            Path(order).unlink()
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)


def load(config: RunConfig) -> StubMethod | Given:
    """The factory that MGI_METHOD_FACTORY names; pictures of other programs are what they are."""
    return Given(config, "cpu") if config.translator == "given" else StubMethod(config)
