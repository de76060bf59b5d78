"""How good a translator in training is: pictures that it has not seen, and how far its translations are from them."""

from __future__ import annotations

import numpy as np
import torch

from mgi.features import load_backbone
from mgi.images import to_float, to_uint8
from mgi.losses import l1
from mgi.metrics.relative_frechet import NETWORK, relative_frechet, statistics
from mgi.sampling import tile_grid
from mgi.systems.base import Guide
from mgi.systems.drawing import encoded
from mgi.systems.trainer import SystemTrainer
from tasks.translator_material import Material

MEASURED = 256
"""At most so many held-out pictures measure."""
SHOWN = 8
"""Rows in each grid."""
AT_ONCE = 16


class HeldOut:
    """Pictures that were not trained on, and how far translations to them are from them.

    The exemplar of a source is the held-out picture half a list away, so it never is the source.
    """

    def __init__(self, material: Material, device: torch.device, guided: bool) -> None:
        self._material, self._device, self._guided = material, device, guided
        self._backbone = load_backbone(NETWORK, device)
        self.a, self.b = material.held_a[:MEASURED], material.held_b
        batches = (to_float(material.b.pixels[rows], device) for rows in _parts(self.b))
        self._real = statistics(batches, self._backbone)

    def translations(self, trainer: SystemTrainer, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(results, exemplars) uint8 [N, S, S, 3] of rows of A."""
        material = self._material
        partners = self.b[(np.arange(len(rows)) + len(self.b) // 2) % len(self.b)]
        results = []
        for number, (part, others) in enumerate(zip(_parts(rows), _parts(partners), strict=True)):
            a = trainer.system.sources(encoded(material.a.pixels[part], material.config.labels))
            guide = Guide(domain=torch.from_numpy(material.b.domains[part]))
            if self._guided:
                guide = self._guide(others)
            results.append(to_uint8(trainer.translate(a, guide, seed=number)))
        return np.concatenate(results), material.b.pixels[partners]

    def _guide(self, rows: np.ndarray) -> Guide:
        """B of some rows as exemplars, with A of them where both sides are of the same pictures."""
        material = self._material
        matched = len(material.a.pixels) == len(material.b.pixels)
        condition = encoded(material.a.pixels[rows], material.config.labels) if matched else None
        domain = torch.from_numpy(material.b.domains[rows])
        return Guide(to_float(material.b.pixels[rows]), condition, domain)

    def sources(self, trainer: SystemTrainer, rows: np.ndarray) -> np.ndarray:
        """Rows of A to look at, uint8 [N, S, S, 3]."""
        pixels, system = self._material.a.pixels[rows], trainer.system
        if self._material.config.size != system.source_size:
            pixels = to_uint8(system.sources(encoded(pixels, 0)))
        return shown(pixels, self._material.b.pixels.shape[1])

    def truths(self, rows: np.ndarray) -> np.ndarray:
        """B of the same rows."""
        return np.asarray(self._material.b.pixels[rows])

    def scores(self, trainer: SystemTrainer) -> dict[str, float]:
        """`frechet`: relative Frechet distance of translations from held-out B; `l1`: to the true pictures."""
        results, _ = self.translations(trainer, self.a)
        parts = (to_float(results[rows], self._device) for rows in _parts(np.arange(len(results))))
        found = {"frechet": relative_frechet(statistics(parts, self._backbone), self._real)}
        if trainer.system.has_truth:
            truth = self._material.b.pixels[self.a]
            found["l1"] = float(l1(to_float(results), to_float(truth)).mean())
        return found


def shown(a: np.ndarray, size: int) -> np.ndarray:
    """A [N, s, s, C] as pictures uint8 [N, S, S, 3]: classes in colours, of numbers the largest of three channels."""
    if a.dtype != np.uint8:
        spread = np.array_split(a.astype(np.float32), min(3, a.shape[-1]), axis=-1)
        planes = np.stack([part.max(-1) for part in spread], -1)
        a = (255 * (planes - planes.min()) / max(float(np.ptp(planes)), 1e-6)).astype(np.uint8)
        a = a if a.shape[-1] == 3 else a[..., [0, -1, -1]]
    elif a.shape[-1] != 3:
        palette = np.random.default_rng(0).integers(40, 255, (256, 3), dtype=np.uint8)
        a = palette[a[..., 0]]
    times = size // a.shape[1]
    return a.repeat(times, 1).repeat(times, 2) if times > 1 else np.asarray(a)


def grid_of(trainer: SystemTrainer, judge: HeldOut) -> np.ndarray:
    """Rows of source, exemplar if there is one, result, and the truth if there is one."""
    rows = judge.a[:SHOWN]
    results, exemplars = judge.translations(trainer, rows)
    columns = [judge.sources(trainer, rows), *([exemplars] if trainer.system.guided else []), results]
    if trainer.system.has_truth:
        columns.append(judge.truths(rows))
    return tile_grid([column[row] for row in range(len(rows)) for column in columns], len(columns))


def _parts(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[at : at + AT_ONCE] for at in range(0, len(rows), AT_ONCE)]
