"""MUNIT (Huang et al., ECCV 2018): content and style apart, so that one picture has many translations."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mgi.systems.autoencoders import AutoencoderConfig, Autoencoders, ContentEncoder, Convolved, Enlarger
from mgi.systems.base import Batch, Guide, Step
from mgi.systems.layers import ResidualBlock, kaiming_weights


class MUNITConfig(AutoencoderConfig):
    """As published: batches of one, Adam at 0.0001 (0.5, 0.999), halved every 100,000 steps; style has 8 numbers."""

    style: int = Field(8, ge=1, le=512)
    """Numbers of a style."""
    hidden: int = Field(256, ge=1, le=4096)
    """Widths of the perceptron that makes a decoder's statistics of a style."""
    style_weight: float = Field(1.0, ge=0)
    """Of styles that are read from translations again."""
    content_weight: float = Field(1.0, ge=0)
    """Of contents that are read from translations again."""
    cycle_weight: float = Field(0.0, ge=0)
    """Of pictures that are translated back with their own style; the public code has 10 for some sets."""


class MUNIT(Autoencoders):
    """An auto-encoder of content and style for each side; styles of other pictures, or from N(0, 1), translate."""

    name, config_type, guided = "munit", MUNITConfig, True

    def __init__(self, config: MUNITConfig, training: bool = True) -> None:
        super().__init__(config, training)
        self.makers = nn.ModuleDict({side: StyledAutoencoder(config) for side in "ab"})
        if training:
            self.oppose()

    @property
    def _sides(self) -> tuple[StyledAutoencoder, StyledAutoencoder]:
        return cast("tuple[StyledAutoencoder, StyledAutoencoder]", (self.makers["a"], self.makers["b"]))

    def learn(self, batch: Batch, step: Step) -> None:
        """Equations 1 to 5: pictures, contents and styles come back, and nobody can tell the translations.

        Discriminators first, against translations of their own random styles, as the public code.
        """
        config, (of_a, of_b) = cast("MUNITConfig", self.config), self._sides
        a, b = batch.a, batch.b
        with torch.no_grad():
            fake_a = of_a.decode(of_b.content(b), self._drawn(b, step.random))
            fake_b = of_b.decode(of_a.content(a), self._drawn(a, step.random))
        self.judge(batch, fake_a, fake_b, step, self.contest_weight)

        style_a, style_b = self._drawn(a, step.random), self._drawn(b, step.random)
        content_a, own_a = of_a.content(a), of_a.style(a)
        content_b, own_b = of_b.content(b), of_b.style(b)
        fake_a, fake_b = of_a.decode(content_b, style_a), of_b.decode(content_a, style_b)
        again_a, again_b = of_b.content(fake_b), of_a.content(fake_a)
        terms = self.reconstructed(
            "reconstruction",
            config.reconstruction_weight,
            (of_a.decode(content_a, own_a), a),
            (of_b.decode(content_b, own_b), b),
        )
        terms |= self.reconstructed(
            "style", config.style_weight, (of_a.style(fake_a), style_a), (of_b.style(fake_b), style_b)
        )
        terms |= self.reconstructed("content", config.content_weight, (again_a, content_a), (again_b, content_b))
        if config.cycle_weight:
            back_a, back_b = of_a.decode(again_a, own_a), of_b.decode(again_b, own_b)
            terms |= self.reconstructed("cycle", config.cycle_weight, (back_a, a), (back_b, b))
        terms |= self.fooled(fake_a, fake_b, self.contest_weight)
        step.update("generators", terms | self.kept_content(a, b, fake_a, fake_b))

    def _drawn(self, like: Tensor, random: torch.Generator) -> Tensor:
        """Styles [B, 8] from N(0, 1)."""
        return torch.randn(len(like), cast("MUNITConfig", self.config).style, generator=random).to(like)

    def translate(self, a: Tensor, guide: Guide, random: torch.Generator) -> Tensor:
        """In the style of the exemplar, or in one from `random` where `guide.latent` or there is none."""
        source, target = self._sides[::-1] if guide.backwards else self._sides
        exemplar = guide.condition if guide.backwards else guide.picture
        drawn = guide.latent or exemplar is None
        return target.decode(
            source.content(a), self._drawn(a, random) if drawn else target.style(cast("Tensor", exemplar))
        )


class StyledAutoencoder(nn.Module):
    """One side's encoders of content and style, and its decoder.

    For three channels and 64 of width it has 15,026,187 parameters, as the public code.
    """

    def __init__(self, config: MUNITConfig) -> None:
        super().__init__()
        width, channels, blocks = config.width, 4 * config.width, range(config.blocks)
        self.content = nn.Sequential(ContentEncoder(3, width), *(ResidualBlock(channels) for _ in blocks))
        self.style = StyleEncoder(3, width, config.style)
        self.perceptron = nn.Sequential(
            nn.Linear(config.style, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, 4 * channels * config.blocks),
        )
        self.blocks = nn.ModuleList([AdaptiveBlock(channels) for _ in blocks])
        self.enlarge = Enlarger(width, 3)
        for part in (self.content, self.perceptron, self.blocks):
            kaiming_weights(part)

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        """[B, C, S / 4, S / 4] and [B, 8] -> pictures [B, 3, S, S] in [-1, 1]."""
        statistics = self.perceptron(style)[:, :, None, None].chunk(len(self.blocks), 1)
        for block, own in zip(self.blocks, statistics, strict=True):
            content = block(content, own)
        found: Tensor = self.enlarge(content)
        return found


class StyleEncoder(nn.Sequential):
    """Pictures -> styles [B, 8]; no normalisation, which would take away what a style is."""

    def __init__(self, inputs: int, width: int, style: int) -> None:
        widths = [width, 2 * width, 4 * width, 4 * width, 4 * width]
        halvings = [Convolved(before, after, 4, 2) for before, after in pairwise(widths)]
        pooled = (nn.AdaptiveAvgPool2d(1), nn.Conv2d(widths[-1], style, 1), nn.Flatten())
        super().__init__(Convolved(inputs, width, 7), *halvings, *pooled)
        kaiming_weights(self)


class AdaptiveBlock(nn.Module):
    """A residual block whose instance normalisations get mean and deviation from outside (AdaIN)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")
        self.second = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")

    def forward(self, x: Tensor, statistics: Tensor) -> Tensor:
        """[B, C, h, w] with means and deviations of both layers [B, 4 C, 1, 1]."""
        mean1, deviation1, mean2, deviation2 = statistics.chunk(4, 1)
        y = F.relu(F.instance_norm(self.first(x)) * deviation1 + mean1)
        return x + F.instance_norm(self.second(y)) * deviation2 + mean2
