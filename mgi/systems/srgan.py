"""SRResNet and SRGAN (Ledig et al., CVPR 2017): four times as many rows and columns."""

from __future__ import annotations

from typing import Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mgi.systems.base import Batch, Guide, Player, Step, System
from mgi.systems.contest import ContestConfig, bounded, fooled, judged
from mgi.systems.layers import SLOPE, norm_of
from mgi.systems.perception import FrozenFeatures

TIMES = 4
LAYERS = {
    ("vgg22", "vgg16-imagenet"): "relu2_2",
    ("vgg54", "vgg16-imagenet"): "relu5_3",
    ("vgg22", "vgg19-imagenet"): "relu2_2",
    ("vgg54", "vgg19-imagenet"): "relu5_4",
}
"""The last convolution of a block, after its ReLU; the fifth block of VGG-16 has three of them."""


class SRResNetConfig(ContestConfig):
    """As published: batches of 16, Adam at 0.0001 (0.9, 0.999), 16 residual blocks, no decay."""

    batch: int = Field(16, ge=1)
    """Pictures per step."""
    learning_rate: float = Field(1e-4, gt=0)
    """Of Adam."""
    beta1: float = Field(0.9, ge=0, lt=1)
    """Decay of Adam's first moment."""
    blocks: int = Field(16, ge=1, le=32)
    """Residual blocks of the generator."""


class SRGANConfig(SRResNetConfig):
    """As published: after SRResNet's 1,000,000 steps 100,000 at 0.0001 against a discriminator, and as many at 1e-5."""

    alone: float = Field(5 / 6, ge=0, le=1)
    """Share of the steps in which the generator learns alone, as SRResNet does."""
    content: Literal["mse", "vgg22", "vgg54"] = "vgg54"
    """What should equal the true picture's: pixels, or features of VGG (their section 3.3)."""
    features: Literal["vgg16-imagenet", "vgg19-imagenet"] = "vgg16-imagenet"
    """Of which VGG. Published is VGG-19, whose weights are not among those that are installed."""
    content_weight: float = Field(0.006, ge=0)
    """Of squared differences of features; pixels have 1. Those of `vgg22` are some thousand times as large as those of
    `vgg54`: 0.000002 keeps them near the pixels."""
    pixel_weight: float = Field(0.0, ge=0)
    """Of squared differences of pixels beside features; 0 as published, 1 in most public code."""
    adversarial_weight: float = Field(1e-3, ge=0)
    """Of equation 3."""


class SRResNet(System):
    """Learns to undo a bicubic reduction, by the squared error alone."""

    name, data, kept, config_type = "srresnet", "folder", ("generator",), SRResNetConfig
    has_truth = judged_by_l1 = True

    def __init__(self, config: SRResNetConfig, training: bool = True) -> None:
        super().__init__(config, training)
        self.generator = SuperResolution(config.width, config.blocks)

    @property
    def source_size(self) -> int:
        """A quarter."""
        return self.config.size // TIMES

    def sources(self, a: Tensor) -> Tensor:
        """Pictures [B, 3, S, S] at a quarter of their rows and columns, by an antialiased bicubic kernel."""
        return F.interpolate(a, scale_factor=1 / TIMES, mode="bicubic", antialias=True)

    def players(self) -> dict[str, Player]:
        """The generator."""
        return {"generator": Player([self.generator])}

    def learn(self, batch: Batch, step: Step) -> None:
        """Equation 4."""
        step.update("generator", {"mse": F.mse_loss(self.generator(self.sources(batch.b)), batch.b)})

    def translate(self, a: Tensor, guide: Guide, random: torch.Generator) -> Tensor:
        """Small pictures [B, 3, S / 4, S / 4] -> [B, 3, S, S]; nothing is random."""
        found: Tensor = self.generator(a)
        return found


class SRGAN(SRResNet):
    """SRResNet first, then against a discriminator, with a perceptual loss for the squared error."""

    name, config_type = "srgan", SRGANConfig
    judged_by_l1 = False  # it is not what the second half improves

    def __init__(self, config: SRGANConfig, training: bool = True) -> None:
        super().__init__(config, training)
        if training:
            self.discriminator = Discriminator(config.width, config.size)
            layer = LAYERS.get((config.content, config.features), "")
            self._features = [FrozenFeatures(config.features, layer)]

    @property
    def _config(self) -> SRGANConfig:
        return cast("SRGANConfig", self.config)

    def players(self) -> dict[str, Player]:
        """Generator and discriminator."""
        return {**super().players(), "discriminator": Player([self.discriminator])}

    def rate(self, done: int, steps: int) -> float:
        """A tenth in the second half of the contest."""
        return 1.0 if done < steps * (1 + self._config.alone) / 2 else 0.1

    def learn(self, batch: Batch, step: Step) -> None:
        """Equations 2 and 3, after a share of the steps as SRResNet; one step of each network."""
        config, true = self._config, batch.b
        if step.number < config.alone * step.steps:
            super().learn(batch, step)
            return
        made = self.generator(self.sources(true))
        step.update("discriminator", {"discriminator": judged(config, self.discriminator, true, made, step.random)})
        bounded(config, self.discriminator)
        terms = {"adversarial": config.adversarial_weight * fooled(config, self.discriminator, made)}
        if config.content == "mse":
            terms["mse"] = F.mse_loss(made, true)
        else:
            terms["content"] = config.content_weight * self._features[0].squared(made, true)
            terms["mse"] = config.pixel_weight * F.mse_loss(made, true)
        step.update("generator", terms)


class SuperResolution(nn.Module):
    """[B, 3, s, s] -> [B, 3, 4 s, 4 s] (figure 4): residual blocks at the small size, then two sub-pixel layers.

    At 64 channels and 16 blocks it has 1,549,462 parameters.
    """

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, width, 9, padding=4), nn.PReLU())
        self.blocks = nn.Sequential(
            *(_Block(width) for _ in range(blocks)),
            nn.Conv2d(width, width, 3, padding=1),
            norm_of("running", width),
        )
        doubled = (nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.PReLU())
        again = (nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.PReLU())
        self.last = nn.Sequential(*doubled, *again, nn.Conv2d(width, 3, 9, padding=4))

    def forward(self, x: Tensor) -> Tensor:
        """Pictures, about in [-1, 1]."""
        x = self.first(x)
        found: Tensor = self.last(x + self.blocks(x))
        return found


class _Block(nn.Module):
    """x + N(conv(PReLU(N(conv(x)))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            norm_of("running", channels),
            nn.PReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            norm_of("running", channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x + self.layers(x)
        return found


class Discriminator(nn.Sequential):
    """Pictures [B, 3, S, S] -> one logit each [B, 1]: eight convolutions, every second a halving, and two layers.

    Args:
        width: channels of the first layer.
        size: S, a multiple of 16.
    """

    def __init__(self, width: int, size: int) -> None:
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), nn.LeakyReLU(SLOPE)]
        before = width
        for number in range(1, 8):
            after = width * 2 ** (number // 2)
            halving = nn.Conv2d(before, after, 3, 1 + number % 2, 1)
            layers += [halving, norm_of("batch", after), nn.LeakyReLU(SLOPE)]
            before = after
        hidden = 16 * width
        dense = (nn.Linear(before * (size // 16) ** 2, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, 1))
        super().__init__(*layers, nn.Flatten(), *dense)
