"""Consultation fusions that were trained here: where they act in a generator, and their files.

`mgi train encoder --arch hfgi` makes them; each belongs to one generator and one encoder, whose losses it puts back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mgi.encoders.codes import CoarseRead
from mgi.encoders.consultation import ROWS, Consultation
from mgi.generators import Generator, is_tapped
from mgi.images import down as average
from mgi.learnt_files import LearntFile


@dataclass(frozen=True)
class FusionFacts:
    """What a fusion's file says about itself.

    `generator` and `encoder` are names or files, with the hashes of their contents; `width` the channels inside of the
    consultant's heads; `errors` are of held-out pictures, `card` whatever else is worth knowing.
    """

    generator: str
    generator_sha256: str
    encoder: str
    encoder_sha256: str
    width: int
    errors: dict[str, float]
    card: dict[str, Any] = field(default_factory=dict)


FUSION = LearntFile(
    "fusion", FusionFacts, "mgi train encoder --generator GENERATOR --arch hfgi --out FOLDER", largest=2**28
)


def write_fusion(path: Path, network: Consultation, facts: FusionFacts) -> None:
    """Write a fusion in half precision; its file appears whole or not at all."""
    tensors = {name: x for name, x in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    FUSION.write(path, tensors, facts)


def read_fusion_facts(path: Path) -> FusionFacts:
    """What a file says about itself. Raises LearntFileError: it is no fusion."""
    return FUSION.read_facts(path)


def read_fusion(path: Path, device: str | torch.device = "cpu") -> tuple[Consultation, FusionFacts]:
    """A fusion from its file, frozen, on a device.

    Raises:
        LearntFileError: the file is no fusion, or is damaged.
    """
    tensors, facts = FUSION.read(path)
    with FUSION.building(path):
        network = Consultation(len(tensors["residue.condition_scale3.2.bias"]), facts.width)
        counts = {name: x for name, x in network.state_dict().items() if name.endswith("num_batches_tracked")}
        network.load_state_dict({**counts, **tensors})
    return network.eval().requires_grad_(False).to(device), facts


def fusing_layer(generator: Generator) -> int | None:
    """The first layer whose features have 64 rows; None: there is none."""
    fitting = (layer for layer in range(1, generator.layers + 1) if generator.layer_size(layer) == ROWS)
    return next(fitting, None)


def fused(
    generator: Generator,
    latents: Tensor,
    layer: int,
    scale: Tensor,
    shift: Tensor,
    rows: int,
    head: CoarseRead | None = None,
) -> Tensor:
    """Images [B, 3, r, r], r = min(rows, R), of latents whose features are scaled by 1 + scale and shifted.

    Args:
        generator: with styles.
        latents: W+ [B, styles, D].
        layer: where, see `fusing_layer`.
        scale, shift: [B, C, 64, 64].
        rows: of the images at most.
        head: reads smaller images in the middle of the tail.
    """
    packed = generator.head(latents, layer)
    features, image = packed[:, : scale.shape[1]], packed[:, scale.shape[1] :]  # StyleGAN2 packs the image so far
    changed = torch.cat([features * (1 + scale) + shift, image], dim=1)
    tail = latents[:, -generator.tail_styles(layer) :]
    if head is not None and is_tapped(generator):
        images = head(generator.tail_features(changed, layer, tail, head.layer), tail[:, -1])
        return average(images, max(1, images.shape[-1] // rows))
    return generator.render(changed, layer, tail, max(1, generator.resolution // rows))
