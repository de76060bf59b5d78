"""The networks of a training: the encoder as named, and e4e's discriminator of latents."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from mgi.encoders.codes import Codes
from mgi.encoders.files import read_encoder
from mgi.encoders.pyramid import PyramidEncoder
from mgi.encoders.small import SmallEncoder
from mgi.encoders.stages import Stage
from mgi.features import load_backbone
from mgi.features.efficientnet import Lite0
from mgi.learnt_files import LearntFileError
from mgi.training.encoders.config import EncoderConfig
from mgi.training.errors import TrainingError

WIDTH = 512
BODY = "efficientnet-lite0"


def components_of(config: EncoderConfig) -> int:
    """Principal directions that are said; 0: differences from the mean w, as published encoders say."""
    return config.components if config.arch == "small" else 0


def new_encoder(config: EncoderConfig, codes: Codes) -> nn.Module:
    """An encoder before its training; pictures [B, 3, s, s] -> coordinates [B, rows, K].

    Raises:
        TrainingError: the parent says other latents; or the published encoders say 512 dimensions of at least eight
            styles, and the generator has others.
    """
    if config.parent:
        return _parent(config, codes)
    rows, columns = codes.rows, codes.columns
    if config.arch == "small":
        body = load_backbone(BODY)
        assert isinstance(body, Lite0)
        return SmallEncoder(body.state_dict(), rows, columns)
    if columns != WIDTH or rows < 8:
        raise TrainingError(
            f"arch {config.arch} says styles of {WIDTH} dimensions, at least 8 of them; the generator has {rows} of "
            f"{columns}; use arch small"
        )
    encoder: nn.Module
    if config.arch == "e2style":
        encoder = Stage(3, (3, 4, rows - 7), WIDTH)
    else:
        encoder = PyramidEncoder(rows, "psp" if config.arch == "psp" else "e4e")
    if config.body == "ir-se50":
        faces = load_backbone("ir-se50")
        assert isinstance(faces, nn.Module)
        known = {key: x for key, x in faces.state_dict().items() if key.startswith(("input_layer.", "body."))}
        encoder.load_state_dict(known, strict=False)
    return encoder


def _parent(config: EncoderConfig, codes: Codes) -> nn.Module:
    try:
        found = read_encoder(Path(config.parent).expanduser())
    except LearntFileError as error:
        raise TrainingError(f"--from: {error}") from None
    facts, of = found.facts, (config.arch, config.generator_sha256, codes.rows, codes.columns)
    if (facts.arch, facts.generator_sha256, found.codes.rows, found.codes.columns) != of:
        raise TrainingError(
            f"--from: expected a {config.arch} encoder of {config.generator} with {codes.columns} components, found a "
            f"{facts.arch} one of {facts.generator} with {found.codes.columns}; name another, or train without --from"
        )
    return found.network.requires_grad_(True)


class LatentDiscriminator(nn.Module):
    """Tells latents [B, D] of the mapping network from an encoder's (e4e, section 3.2) -> logits [B]."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number in range(3):
            layers += [nn.Linear(dimensions if number == 0 else WIDTH, WIDTH), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Linear(WIDTH, 1))

    def forward(self, latents: Tensor) -> Tensor:
        """High for the mapping network's own."""
        logits: Tensor = self.layers(latents)
        return logits[:, 0]


class Auxiliary(nn.Module):
    """h' of the discrepancy: a network of the feature network's structure (section III-B).

    It starts near the feature network: at the same weights every distance would be 0, and its gradient with it.
    """

    def __init__(self, features: Lite0, seed: int) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        start = {}
        for name, x in features.state_dict().items():
            moved = x.cpu() * (1 + START * torch.randn(x.shape, generator=random)) if name != "offset" else x
            start[name] = moved
        self.body = Lite0(start)

    def forward(self, images: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
        """As the feature network."""
        return self.body(images, layers)


START = 0.05
"""Relative distance of the auxiliary network's first weights from the feature network's."""
