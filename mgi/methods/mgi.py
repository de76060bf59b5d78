"""Multiple GAN Inversion (Kang, arXiv 2103.14471): warp the exemplar, invert the warp under every hypothesis, keep the
best by a Frechet distance.

Follows the paper: correspondence by equations 1-6, inversion by equation 7 with multi-code composing (mGANprior), the
final image g = y_{n*} with n* = argmin_n k_n. Where the paper is silent or literal readings fail, the choice is a named
option of `mgi.config` and its reason is in docs/decisions.md: the distance k_n of one image (`selection.rule`), the
generator and its latent prior, the schedule, and a guard on fidelity.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mgi import weights
from mgi.alignment import FaceDetector, align_image, centre_square, face_quad
from mgi.config import ConfigError, RunConfig
from mgi.correspondence.warping import warp_pair
from mgi.features import Backbone, load_backbone
from mgi.generators import load as load_generator
from mgi.images import down as average
from mgi.images import resize, to_float, to_uint8
from mgi.inversion.objective import Objective
from mgi.inversion.prior import measure_prior
from mgi.inversion.solver import solve
from mgi.inversion.space import Latents, LatentSpace
from mgi.methods.base import Arrays, Lane, LaneFeatures, LaneResult, MethodError, Progress, ScoreInput, WarpOutput
from mgi.pairs import Hypothesis
from mgi.scoring.judge import Judge
from mgi.statistics import shipped
from mgi.statistics.latents import read_latents

PRIOR_SAMPLES = 20_000
"""Latents that measure the prior of a generator that none ships for: seconds, and enough for 512 dimensions."""
GPU_LANES = 4
"""Lanes per batch on a GPU: 1024-pixel activations of one lane take about 2 GiB with gradients."""


class MultipleGANInversion:
    """The method `mgi`; see `mgi.methods.base.Method` for its stages.

    Args:
        config: every setting.
        device: torch device of all networks.
    """

    def __init__(self, config: RunConfig, device: str) -> None:
        self.config, self.device = config, device
        self.lanes_per_batch = 1 if device == "cpu" else GPU_LANES
        self._backbones: dict[str, Backbone] = {}
        self._detector: FaceDetector | None = None
        generator = load_generator(config.generator, device)
        set_precision = getattr(generator, "set_precision", None)
        if config.inversion.precision == "bf16" and set_precision is not None:
            set_precision("bf16")
        self._check_layers(generator.layers)
        self.generator = generator
        self.size = self._working_size(generator.resolution)
        self.down = generator.resolution // self.size
        self.space = self._space()
        self.judge = Judge(config, self.generator, self._backbone(config.selection.backbone), device, self.size)

    # ------------------------------------------------------------------ stages

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
        )
        info: dict[str, float | str] = {
            **warped.info,
            "aligned_source": how_source,
            "aligned_exemplar": how_exemplar,
            "seconds": time.perf_counter() - start,
        }
        return WarpOutput(aligned_source, aligned_exemplar, to_uint8(warped.warp)[0], info, warped.arrays)

    def lane_arrays(self, hypothesis: Hypothesis) -> dict[str, tuple[tuple[int, ...], str]]:
        """latents (packed), features for the score, and the loss of every step."""
        settings = self.config.inversion
        return {
            "latents": ((self.space.size(hypothesis, settings),), "float32"),
            "features": (self.judge.feature_shape, "float16"),
            "loss": ((settings.steps,), "float32"),
        }

    def invert(self, lanes: list[Lane], progress: Progress | None = None) -> list[LaneResult]:
        """Equation 7 for every lane, then one render to measure what was reached."""
        hypothesis, settings = lanes[0].hypothesis, self.config.inversion
        if any(lane.hypothesis != hypothesis for lane in lanes):
            raise ValueError("lanes of one batch must share their hypothesis")
        began = time.perf_counter()
        targets = self._reduced_to_size(to_float(np.stack([lane.warp for lane in lanes]), self.device))
        backbone = self._backbone(settings.perceptual_backbone) if settings.perceptual_weight else None
        objective = Objective(targets, settings, backbone)
        start = self.space.start(hypothesis, settings, [lane.seed for lane in lanes], self.device)
        outcome = solve(self.space, objective, start, hypothesis, settings, self.down, progress)
        seconds = (time.perf_counter() - began) / len(lanes)
        before = self._measure(start, hypothesis, targets)
        after = self._measure(outcome.latents, hypothesis, targets)
        features = self.judge.features(after["images"])
        packed = outcome.latents.pack().cpu().numpy()
        results = []
        for i in range(len(lanes)):
            stopped = outcome.stopped_at[i]
            if outcome.best_step[i] < 0 or not np.isfinite(packed[i]).all():
                results.append(LaneResult({}, {}, failed=f"the loss is not finite since step {stopped}"))
                continue
            measures = {
                "loss": float(outcome.best_loss[i]),
                "best_step": float(outcome.best_step[i]),
                "l2_before": float(before["l2"][i]),
                "l2_after": float(after["l2"][i]),
                "vgg_before": float(before["vgg"][i]),
                "vgg_after": float(after["vgg"][i]),
                "seconds": seconds,
            }
            arrays = {"latents": packed[i], "features": features[i], "loss": outcome.losses[i].numpy()}
            results.append(LaneResult(arrays, measures))
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
    def render(self, arrays: Arrays, hypothesis: Hypothesis, factor: int | None = None) -> np.ndarray:
        """The image of a lane at warp.image_size x factor (default: config.upsampling), uint8 [R,R,3]."""
        size = self.config.warp.image_size * (factor or self.config.upsampling)
        down = max(1, self.generator.resolution // size)
        return to_uint8(self.space.images(self._latents(arrays, hypothesis), hypothesis.composing_layer, down))[0]

    @torch.no_grad()
    def preview(self, arrays: Arrays, hypothesis: Hypothesis) -> np.ndarray:
        """The image at the warp's size or, where that is smaller, the generator's, uint8 [S,S,3]."""
        image = self.space.images(self._latents(arrays, hypothesis), hypothesis.composing_layer, self.down)
        return to_uint8(image)[0]

    # ------------------------------------------------------------------ parts

    def _latents(self, arrays: Arrays, hypothesis: Hypothesis) -> Latents:
        packed = torch.from_numpy(np.array(arrays["latents"], dtype=np.float32))[None].to(self.device)
        return self.space.unpack(packed, hypothesis, self.config.inversion)

    @torch.no_grad()
    def _measure(self, latents: Latents, hypothesis: Hypothesis, targets: Tensor) -> dict[str, Tensor]:
        """L2 and relative VGG distance of the full images to the warps, [B] each, and the images at the warp's size."""
        images = self.space.images(latents, hypothesis.composing_layer, self.down)
        ruler = self.config.inversion.model_copy(update={"perceptual_norm": "relative"})
        backbone = self._backbone(ruler.perceptual_backbone)
        distance = Objective(targets, ruler, backbone).perceptual(images)
        return {"l2": (images - targets).square().mean((1, 2, 3)), "vgg": distance, "images": images}

    def _align(self, image: np.ndarray, what: str) -> tuple[np.ndarray, str]:
        settings, size = self.config.align, self.config.warp.image_size
        pixels = torch.from_numpy(np.array(image, dtype=np.uint8))
        if settings.mode != "never":
            faces = [f for f in self._faces().detect(_reduced(pixels)) if f.confidence >= settings.min_confidence]
            if faces:
                scale = pixels.shape[1] / _reduced(pixels).shape[1]
                return align_image(pixels, face_quad(faces[0].landmarks * scale), size).numpy(), "face"
            if settings.mode == "require":
                raise MethodError(
                    f"no face found in the {what}; use a picture with a visible face or align.mode = auto"
                )
        return align_image(pixels, centre_square(*pixels.shape[:2]), size).numpy(), "centre"

    def _faces(self) -> FaceDetector:
        if self._detector is None:
            self._detector = FaceDetector(weights.path("mtcnn-faces"))
        return self._detector

    def _backbone(self, name: str) -> Backbone:
        if name not in self._backbones:
            self._backbones[name] = load_backbone(name, self.device, self.config.inversion.precision)
        return self._backbones[name]

    def _space(self) -> LatentSpace:
        path = shipped(self.config.generator)
        if path is not None:
            prior, head = read_latents(path)
            return LatentSpace(self.generator, prior.to(self.device), head.to(self.device))
        to_w = getattr(self.generator, "to_w", None)
        if to_w is None:
            return LatentSpace(self.generator)
        prior = measure_prior(lambda z: to_w(z.to(self.device)).cpu(), self.generator.z_dim, PRIOR_SAMPLES)
        return LatentSpace(self.generator, prior.to(self.device))

    def _check_layers(self, layers: int) -> None:
        for hypothesis in self.config.inversion.all_hypotheses():
            if not 1 <= hypothesis.composing_layer <= layers or hypothesis.num_codes < 1:
                raise ConfigError(
                    f"hypothesis {hypothesis.id} does not fit {self.config.generator}: composing layers are 1 to "
                    f"{layers}, codes at least 1; change inversion.composing_layers, num_codes or hypotheses"
                )

    def _working_size(self, resolution: int) -> int:
        """Rows at which results are compared with warps: the smaller of both. Features want more pixels than a small
        generator makes, so a warp may be larger than the images; it is then averaged down."""
        size = self.config.warp.image_size
        if max(resolution, size) % min(resolution, size):
            raise ConfigError(
                f"warp.image_size = {size} neither divides the resolution {resolution} of {self.config.generator} "
                f"nor is a multiple of it; set it to {resolution} or half or twice that"
            )
        return min(size, resolution)

    def _reduced_to_size(self, images: Tensor) -> Tensor:
        return average(images, images.shape[-1] // self.size)


def _reduced(pixels: Tensor, longest: int = 640) -> Tensor:
    """A smaller copy for the detector: uint8 [H,W,3] with no side above `longest`."""
    height, width = pixels.shape[:2]
    if max(height, width) <= longest:
        return pixels
    scale = longest / max(height, width)
    small = resize(pixels.permute(2, 0, 1)[None].float(), (max(1, round(height * scale)), max(1, round(width * scale))))
    return small[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8)
