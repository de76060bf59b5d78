"""What an encoder's training learns from: samples with known latents, pictures, and a target domain."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mgi.encoders.codes import Codes
from mgi.generators import Generator
from mgi.images import to_float, to_uint8
from mgi.training import TrainingError
from mgi.training.data import split
from mgi.training.encoders import Batch, EncoderConfig
from mgi.training.encoders.data import HELD_OUT_SEED, KnownSamples, batch_rows, check_batch, degraded
from mgi.training.encoders.estranging import estranged
from mgi.training.seeds import seed_of
from storage.training_store import TrainingStore
from tasks.training_runs import Watcher
from tasks.training_steps import TrainingRun

HELD_OUT = 64
"""Known samples, and at most so many of the user's pictures of each domain, only measure."""


@dataclass(frozen=True, kw_only=True)
class EncoderRequest(TrainingRun):
    """What the user asks for.

    Args:
        images: folder of pictures of the source domain, or None.
        target: folder of pictures of the target domain, or None.
        config: what is trained, and how.
    """

    images: Path | None
    target: Path | None
    config: EncoderConfig


@dataclass
class Material:
    """What there is to learn from, and what only measures: pictures uint8 [N, s, s, 3].

    Args:
        known, coordinates: samples of the generator, and float32 [N, rows, K].
        real: pictures of the source domain.
        target: pictures of the target domain.
        held: (what is seen, what it should look like) by domain, source first; neither is trained on.
        held_coordinates: of the known samples among those of the source.
    """

    known: np.ndarray | None
    coordinates: np.ndarray | None
    real: np.ndarray | None
    target: np.ndarray | None
    held: dict[str, tuple[np.ndarray, np.ndarray]]
    held_coordinates: np.ndarray | None

    def batch(self, config: EncoderConfig, step: int) -> Batch:
        """The pictures of a step, which depend on its number alone."""

        def rows(array: np.ndarray, purpose: str) -> list[int]:
            return batch_rows(len(array), config.batch, config.seed, purpose, step)

        known, whole, real, target = None, None, None, None
        if self.known is not None and self.coordinates is not None:
            chosen = rows(self.known, "known")
            plain = self.known[chosen]
            seen = _damaged(plain, config, step)
            known = to_float(seen), torch.from_numpy(self.coordinates[chosen])
            whole = to_float(plain) if seen is not plain else None
        if self.real is not None:
            real = to_float(self.real[rows(self.real, "real")])
            if config.flip:
                random = torch.Generator().manual_seed(seed_of(config.seed, "flip", step))
                real = torch.where(torch.rand(len(real), 1, 1, 1, generator=random) < 0.5, real.flip(3), real)
        if self.target is not None:
            target = to_float(self.target[rows(self.target, "target")])
        return Batch(known, whole, real, target)


def _damaged(pixels: np.ndarray, config: EncoderConfig, step: int) -> np.ndarray:
    """Known samples of a step, some of them damaged."""
    if not config.damaged:
        return pixels
    draw = torch.rand(len(pixels), generator=torch.Generator().manual_seed(seed_of(config.seed, "damaged", step)))
    rows = (draw < config.damaged).nonzero()[:, 0].tolist()
    found = pixels.copy()
    seeds = [seed_of(config.seed, "damage", step, row) for row in rows]
    found[rows] = degraded(pixels[rows], config.degradation, seeds)
    return found


def gather(
    request: EncoderRequest, store: TrainingStore, generator: Generator, codes: Codes, watcher: Watcher
) -> Material:
    """Read and draw everything. A simulated target domain is the second half of the pictures, degraded.

    Raises:
        TrainingError: there are no pictures of the source domain, or too few of a kind for a batch.
    """
    config = request.config
    known = coordinates = real = target = held_coordinates = None
    held: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    # The user's pictures first: what is wrong with them shows before minutes are spent on samples.
    if request.images is not None:
        real = np.asarray(store.images(request.images, config.size, watcher.decoded))
        train, apart = split(len(real))
        real, own = real[train], real[apart[:HELD_OUT]]
        held["pictures"] = own, own
    if config.target == "given":
        target = _given(request, watcher)
    if not config.samples and real is None:
        raise TrainingError("there is nothing to learn from; give --images FOLDER, or --set samples=4000")
    _check_counts(config, real, target)
    if config.samples:
        samples = KnownSamples(generator, codes, config.size, config.mixed)
        text = f"samples of {Path(config.generator).name}"
        known, coordinates = store.known(
            config.samples,
            lambda indices: samples([(config.seed << 24) + index for index in indices]),
            lambda done, total: watcher.learnt("draw", done, total, text),
            config.samples_key(),
            samples.at_once,
        )
        held_pictures, held_coordinates = store.known(
            HELD_OUT,
            lambda indices: samples([HELD_OUT_SEED + index for index in indices]),
            lambda done, total: watcher.learnt("draw held-out", done, total, text),
            f"{config.samples_key()}-held-out",
            samples.at_once,
        )
        held = {"samples": (held_pictures, held_pictures), **held}
        if config.fuses:
            strange = to_uint8(estranged(to_float(held_pictures), 1.0, HELD_OUT_SEED))
            held["strange"] = strange, strange
    if config.target == "simulated":
        # Unpaired halves: no picture of the target domain is one of the source domain's.
        whole = real if real is not None else known
        assert whole is not None
        half = len(whole) // 2
        seeds = [seed_of(config.seed, "degrade", index) for index in range(len(whole) - half)]
        target = degraded(whole[half:], config.degradation, seeds)
        if real is not None:
            real = real[:half]
        else:
            assert coordinates is not None
            known, coordinates = whole[:half], coordinates[:half]
    if config.degradation != "none":
        clean = next(reversed(held.values()))[1]
        seen = degraded(clean, config.degradation, [HELD_OUT_SEED + index for index in range(len(clean))])
        held["target"] = seen, clean
    return Material(known, coordinates, real, target, held, held_coordinates)


def _given(request: EncoderRequest, watcher: Watcher) -> np.ndarray:
    """The user's pictures of the target domain."""
    if request.target is None:
        raise TrainingError("a given target domain needs its folder (--target FOLDER)")
    folder = TrainingStore(request.out / "target", "encoder")
    folder.folder.mkdir(parents=True, exist_ok=True)
    return np.asarray(folder.images(request.target, request.config.size, watcher.decoded))


def _check_counts(config: EncoderConfig, real: np.ndarray | None, target: np.ndarray | None) -> None:
    """Raises TrainingError: pictures, samples or a half of either do not fill a batch."""
    halves = 2 if config.target == "simulated" else 1
    if real is not None:
        check_batch(len(real) // halves, config.batch)
    if config.samples:
        check_batch(config.samples // (halves if real is None else 1), config.batch)
    if target is not None:
        check_batch(len(target), config.batch)
