"""Style mixing: a source's coarse styles with an exemplar's fine ones, both from inversions of the pictures themselves.

It knows nothing of correspondences, so nothing in it can tear: a strong start for the pair's hypotheses, what stands in
where the warp cannot be trusted, and an honest baseline (`mgi.translators.style_mix`). Every picture is inverted once
and kept under its content, for all pairs and runs with the same generator and settings.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from platformdirs import user_cache_path
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mgi.config import ConfigError
from mgi.generators import is_styled
from mgi.images import to_float
from mgi.inversion.latents import Latents, pack, unpack
from mgi.inversion.objective import Objective
from mgi.inversion.search import search
from mgi.inversion.solver import LaneState, Progress, Solver
from mgi.inversion.warm import cost
from mgi.pairs import lane_seed
from mgi.translators.inversion.engine import Engine
from mgi.weights.identity import generator_sha256

LATENTS = "latents"
WAIT = 600.0
"""Seconds to wait for another process that inverts the same picture; then it is inverted here, too."""


class Mixer:
    """Inverts pictures of an engine's generator and mixes their styles.

    Args:
        engine: with a generator that has styles.

    Raises:
        ConfigError: the generator has no styles, or codes are not kept in w.
    """

    def __init__(self, engine: Engine) -> None:
        settings = engine.config.inversion
        if not is_styled(engine.generator) or settings.space != "multi":
            raise ConfigError(
                "style mixing needs a generator with styles and inversion.space = multi, found "
                f"{engine.generator.name} and {settings.space}; set inversion.pair_start = none"
            )
        self.engine = engine
        self.hypothesis = min(settings.all_hypotheses(), key=cost)
        plain = {"confidence_weight": 0.0, "pair_start": "none", "hypotheses": (self.hypothesis.id,), "rungs": ()}
        self._settings = settings.model_copy(update={**plain, "warm_start": 0, "snapshots": 0, "fallback": False})

    def latents(self, picture: np.ndarray, progress: Progress | None = None) -> Latents:
        """The inversion of a picture uint8 [S, S, 3], from the cache if it is there."""
        shapes = self.engine.space.shapes(self.hypothesis)
        path = self._path(picture)
        packed = _read(path, self.engine.device)
        if packed is None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                lock = FileLock(f"{path}.lock")
                lock.acquire(timeout=WAIT)
            except (OSError, Timeout):  # a folder that cannot be written only costs time
                return unpack(self._invert(picture, progress), shapes)
            try:
                packed = _read(path, self.engine.device)
                if packed is None:
                    packed = self._invert(picture, progress)
                    _write(path, packed)
            finally:
                lock.release()
                Path(lock.lock_file).unlink(missing_ok=True)
        return unpack(packed, shapes)

    def mixed(self, source: np.ndarray, exemplar: np.ndarray, progress: Progress | None = None) -> Latents:
        """The source's codes and coarse styles, the exemplar's styles from `inversion.mix_rows` on."""
        first, then = (_half(progress, number) for number in (0, 1))
        of_source, of_exemplar = self.latents(source, first), self.latents(exemplar, then)
        tail, other = of_source["tail"].clone(), of_exemplar["tail"]
        fine = self.fine_styles()
        if len(tail) == 1:
            return {**of_source, "tail": other}
        tail[-fine:] = other[-fine:]
        return {**of_source, "tail": tail}

    def fine_styles(self) -> int:
        """How many styles come after the last layer of `mix_rows` rows, but no more than the tail has."""
        generator, rows = self.engine.generator, self.engine.config.inversion.mix_rows
        layers = [layer for layer in range(1, generator.layers + 1) if generator.layer_size(layer) <= rows]
        count = generator.tail_styles(max(layers, default=1))
        return max(1, min(count, generator.tail_styles(self.hypothesis.composing_layer)))

    def image(self, latents: Latents) -> Tensor:
        """[1, 3, S, S] at the size of comparison."""
        return self.engine.image(latents, self.hypothesis.composing_layer).clamp(-1, 1)

    def _invert(self, picture: np.ndarray, progress: Progress | None) -> Tensor:
        engine, settings = self.engine, self._settings
        target = engine.reduced(to_float(picture, engine.device))
        backbone = engine.backbone(settings.perceptual_backbone) if settings.perceptual_weight else None
        objective = Objective(target, settings, backbone, points=engine.searching.points)
        seed = lane_seed(0, "picture", self.hypothesis.id)
        lane = LaneState(self.hypothesis, 0, engine.space.start(self.hypothesis, seed, engine.device), seed)
        search(Solver(engine.searching, objective, settings, engine.down), [lane], settings, progress=progress)
        return pack(lane.best)

    def _path(self, picture: np.ndarray) -> Path:
        config = self.engine.config
        said = [
            hashlib.sha256(np.ascontiguousarray(picture).tobytes()).hexdigest(),
            list(picture.shape),
            generator_sha256(config.generator),
            self.hypothesis.id,
            self._settings.model_dump(mode="json"),
            self.engine.size,
        ]
        digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
        return user_cache_path("mgi") / "inverted" / digest[:2] / f"{digest}.safetensors"


def _half(progress: Progress | None, number: int) -> Progress | None:
    """The progress of one of two pictures as that of both."""
    if progress is None:
        return None
    return lambda step, steps, loss: progress(step + number * steps, 2 * steps, loss)


def _read(path: Path, device: str) -> Tensor | None:
    try:
        found = load_file(path)[LATENTS]
    except (OSError, SafetensorError, KeyError):
        return None
    return found.to(device) if bool(torch.isfinite(found).all()) else None


def _write(path: Path, packed: Tensor) -> None:
    part = path.with_suffix(".part")
    try:
        save_file({LATENTS: packed.cpu().contiguous()}, part)
        part.replace(path)
    except OSError:  # the disk is full, say
        part.unlink(missing_ok=True)
