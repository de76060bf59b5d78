"""What encoders learn from: samples with known latents, and pictures of a target domain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mgi import degradations
from mgi.encoders.codes import Codes, render
from mgi.generators import Generator, is_styled
from mgi.images import resize, to_float, to_uint8
from mgi.training.errors import TrainingError
from mgi.training.seeds import seed_of

HELD_OUT_SEED = 1 << 40
"""Seeds of samples that only measure begin here."""
ON_GPU = 16
"""Samples drawn in one pass there."""
TRUNCATION = (0.5, 1.0)
"""Samples are truncated by something in between, as users' pictures are nearer to the mean than some samples."""


class KnownSamples:
    """Pictures of a generator with the coordinates of their latents.

    Args:
        generator: any.
        codes: its coordinates.
        size: rows of the pictures.
        mixed: share whose styles are another face's from some row on.
    """

    def __init__(self, generator: Generator, codes: Codes, size: int, mixed: float) -> None:
        self.generator, self.codes, self.size, self.mixed = generator, codes, size, mixed
        self._device = next(iter(generator.state_dict().values())).device

    @property
    def at_once(self) -> int:
        """How many to ask for: one by one on a CPU, where that is as fast and gives the same bits always."""
        return 1 if self._device.type == "cpu" else ON_GPU

    @torch.no_grad()
    def __call__(self, seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """One sample per seed: (pictures uint8 [B, s, s, 3], coordinates float32 [B, rows, K])."""
        latents = torch.cat([self._latents(torch.Generator().manual_seed(seed)) for seed in seeds])
        pictures = resize(render(self.generator, latents, self.size).clamp(-1, 1), self.size)
        return to_uint8(pictures), self.codes.of(latents).cpu().numpy()

    def _latents(self, random: torch.Generator) -> Tensor:
        g = self.generator
        z = torch.randn(2, g.z_dim, generator=random).to(self._device)
        choice, share, where = torch.rand(3, generator=random).tolist()
        if not is_styled(g):
            return z[:1, None]
        least, most = TRUNCATION
        w = g.to_w(z)
        psi = least + (most - least) * share
        plus = g.truncate(w, psi)
        if choice < self.mixed:
            cut = 1 + int(where * (g.styles - 1))
            return torch.cat([plus[:1, :cut], plus[1:, cut:]], dim=1)
        return plus[:1]


def degraded(pixels: np.ndarray, spec: str, seeds: Sequence[int]) -> np.ndarray:
    """Pictures uint8 [N, s, s, 3] as the target domain has them, at the same size.

    Args:
        spec: what they go through.
        seeds: of each picture's own mask, rain and noise.
    """
    found = np.empty_like(pixels)
    for number, seed in enumerate(seeds):
        operator = degradations.build(spec, pixels.shape[1], [seed])
        seen = operator.simulate(to_float(pixels[number]))
        found[number] = to_uint8(resize(seen, pixels.shape[1]))[0]
    return found


def check_batch(count: int, batch: int) -> None:
    """Raises TrainingError: so many pictures do not fill one batch."""
    if count < min(2, batch):
        raise TrainingError(f"a batch needs at least 2 pictures, found {count}; add more")
    if count < batch:
        raise TrainingError(f"{count} pictures do not fill a batch of {batch}; add more or use --set batch={count}")


def batch_rows(count: int, batch: int, seed: int, purpose: str, step: int) -> list[int]:
    """Rows of step k's batch out of `count`: every epoch has its own order, and what does not fill a batch is left out.

    Raises:
        TrainingError: they do not fill one batch.
    """
    check_batch(count, batch)
    per_epoch = count // batch
    epoch, position = divmod(step, per_epoch)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed_of(seed, purpose, epoch)))
    rows: list[int] = order[position * batch : (position + 1) * batch].tolist()
    return rows
