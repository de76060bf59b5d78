"""What UNIT and MUNIT share: encoders, decoders, discriminators at several sizes, and their schedule."""

from __future__ import annotations

import math
from typing import Self, cast

import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from mgi.losses import l1
from mgi.systems.layers import LayerNorm2d, kaiming_weights
from mgi.systems.patches import MultiScale, PatchDiscriminator
from mgi.systems.perception import FrozenFeatures
from mgi.systems.two_ways import TwoWays, TwoWaysConfig
from mgi.training.config import ObjectiveName

HALVINGS = 2
"""Of what an encoder sees."""
CRITIC_HALVINGS = 4
"""Of what a discriminator sees."""
Terms = dict[str, Tensor]


class AutoencoderConfig(TwoWaysConfig):
    """Batches of one, Adam at 0.0001 (0.5, 0.999) with weight decay; the rate is halved every 100,000 steps."""

    objective: ObjectiveName = "least-squares"
    """What discriminators and generators minimise (`mgi.training.objectives`)."""
    learning_rate: float = Field(1e-4, gt=0)
    """Of Adam."""
    weight_decay: float = Field(1e-4, ge=0)
    """Of all networks."""
    halve_every: int = Field(100_000, ge=1)
    """Steps after which the learning rate is halved, again and again."""
    blocks: int = Field(4, ge=2, le=16)
    """Residual blocks of each encoder and of each decoder."""
    scales: int = Field(3, ge=1, le=5)
    """Discriminators of each side, each on pictures of half the size of those before."""
    adversarial_weight: float = Field(1.0, ge=0)
    """Of the adversarial terms, which are sums over scales."""
    reconstruction_weight: float = Field(10.0, ge=0)
    """Of pictures that are encoded and decoded again."""
    perceptual_weight: float = Field(0.0, ge=0)
    """Of VGG-16's features, colours and textures aside, which should not change; the public code has 1 for photographs
    of streets and landscapes, 0 for edges."""

    @model_validator(mode="after")
    def _large_enough(self) -> Self:
        most = int(math.log2(self.size)) - CRITIC_HALVINGS + 1
        if self.scales > most:
            raise ValueError(
                f"scales: expected at most {most} for {self.size} pixels, found {self.scales}; use --set scales={most}"
            )
        return self


class Autoencoders(TwoWays):
    """An encoder and a decoder for each side, against discriminators at several sizes."""

    def oppose(self) -> None:
        """For training: discriminators, and features that should not change."""
        config = self._config
        self.compete(*(_discriminator(config.width, config.scales) for _ in "ab"))
        self._features = [FrozenFeatures("vgg16-imagenet", "relu5_3")]

    @property
    def _config(self) -> AutoencoderConfig:
        return cast("AutoencoderConfig", self.config)

    @property
    def contest_weight(self) -> float:
        """Of the mean over discriminators, so that their sum counts."""
        return self._config.adversarial_weight * self._config.scales

    def rate(self, done: int, steps: int) -> float:
        """Halved every so many steps."""
        return float(0.5 ** (done // self._config.halve_every))

    def reconstructed(self, name: str, weight: float, a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> Terms:
        """Mean absolute differences of both sides: of (what came back, what it was)."""
        return {f"{name}_{side}": weight * l1(*pair).mean() for side, pair in (("a", a), ("b", b))}

    def kept_content(self, a: Tensor, b: Tensor, fake_a: Tensor, fake_b: Tensor) -> Terms:
        """The perceptual terms between pictures and their translations; none at weight 0."""
        weight, (features,) = self._config.perceptual_weight, self._features
        if not weight:
            return {}
        pairs = {"perceptual_a": (fake_a, b), "perceptual_b": (fake_b, a)}
        return {name: weight * features.normalised(*pair) for name, pair in pairs.items()}


def _discriminator(width: int, scales: int) -> MultiScale:
    return MultiScale([PatchDiscriminator(3, width, CRITIC_HALVINGS - 1, "none", strided=True) for _ in range(scales)])


class Convolved(nn.Module):
    """A convolution with mirrored borders, a normalisation, and ReLU.

    Args:
        size, stride: of the kernel.
        norm: what is done before ReLU; None: nothing.
    """

    def __init__(self, before: int, after: int, size: int, stride: int = 1, norm: nn.Module | None = None) -> None:
        super().__init__()
        padding = (size - 1) // 2
        self.conv = nn.Conv2d(before, after, size, stride, padding, padding_mode="reflect")
        self.norm = norm or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """[B, I, h, w] -> [B, O, h / stride, w / stride]."""
        return F.relu(self.norm(self.conv(x)))


class ContentEncoder(nn.Sequential):
    """Pictures [B, I, S, S] -> [B, 4 W, S / 4, S / 4] before residual blocks, all with instance normalisation."""

    def __init__(self, inputs: int, width: int) -> None:
        layers = [Convolved(inputs, width, 7, norm=nn.InstanceNorm2d(width))]
        for number in range(HALVINGS):
            channels = width * 2 ** (number + 1)
            layers.append(Convolved(channels // 2, channels, 4, 2, nn.InstanceNorm2d(channels)))
        super().__init__(*layers)
        kaiming_weights(self)


class Enlarger(nn.Sequential):
    """[B, 4 W, S / 4, S / 4] after residual blocks -> pictures [B, O, S, S] in [-1, 1].

    Layer normalisation, which unlike that of instances keeps what a style has done to them.
    """

    def __init__(self, width: int, outputs: int) -> None:
        layers: list[nn.Module] = []
        for number in reversed(range(HALVINGS)):
            channels = width * 2**number
            layers += [nn.Upsample(scale_factor=2), Convolved(2 * channels, channels, 5, norm=LayerNorm2d(channels))]
        super().__init__(*layers, nn.Conv2d(width, outputs, 7, padding=3, padding_mode="reflect"), nn.Tanh())
        kaiming_weights(self)
        for module in self.modules():
            if isinstance(module, LayerNorm2d):
                nn.init.uniform_(module.weight)
