"""Systems that are small enough for tests, and something that they can learn from."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mgi.systems.base import Batch, Guide, SystemConfig
from mgi.systems.drawing import Drawing, Side, encoded
from mgi.systems.registry import system_of

SIZE = 32
SETTINGS: dict[str, dict[str, Any]] = {
    "pix2pix": {},
    "edgegan": {"z_dim": 8, "domains": ("one", "two")},
    "cyclegan": {"blocks": 1, "history": 2},
    "srresnet": {"blocks": 1},
    "srgan": {"blocks": 1, "alone": 0.25, "content": "mse"},
    "simgan": {"history": 3, "refiner_first": 1, "discriminator_first": 1},
    "discogan": {"history": 2},
    "unit": {"scales": 2, "blocks": 2},
    "munit": {"scales": 2, "blocks": 2, "hidden": 8},
    "cocosnet": {
        "size": 64,
        "hidden": 4,
        "match_weight": 0,
        "perceptual_weight": 0,
        "contextual_weight": 0,
    },
    "spade": {"labels": 4, "hidden": 4, "style": 6, "perceptual_weight": 0},
    "stargan-v2": {},
    "swapping-autoencoder": {"patches": 2, "image_capacity": 0.25},
}
"""What a system needs beside size, width and batch to be small."""
ALL_LEARNT_AFTER = {"srgan": 26, "discogan": 2, "simgan": 3, "cocosnet": 2}
"""Steps out of 100 after which all has learnt, where that is not the first: players take turns, and CoCosNet's
attention has no part in the first pass, since its share starts at 0."""


def small(name: str, **more: Any) -> SystemConfig:
    """A configuration of a few thousand parameters."""
    kind = system_of(name)
    values: dict[str, Any] = {"size": SIZE, "width": 4, "batch": 2, **SETTINGS.get(name, {}), **more}
    if kind.data == "domains":
        values["domains"] = ("one", "two")
    return kind.config_type.model_validate(values)


def drawing_of(name: str, config: SystemConfig) -> Drawing:
    """Batches of twelve random pictures, whose conditions are their negatives."""
    kind = system_of(name)
    draw = np.random.default_rng(0)
    b = draw.integers(0, 256, (12, config.size, config.size, 3), dtype=np.uint8)
    a = b if kind.data in ("domains", "folder") else 255 - b
    if config.labels:
        a = (b[..., :1] // 64).astype(np.uint8)
    domains = np.arange(12) % max(1, len(config.domains))
    rows = np.arange(12)
    return Drawing(kind.data, Side(a, rows, domains), Side(b, rows, domains), config)


def guide_of(config: SystemConfig, batch: Batch) -> Guide:
    """The batch's B as exemplars."""
    return Guide(batch.b2, batch.a2, batch.b_domain if config.domains else None)


def pictures(count: int, seed: int = 0) -> torch.Tensor:
    """Random pictures [B, 3, S, S]."""
    draw = np.random.default_rng(seed)
    return encoded(draw.integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8), 0)
