"""DiscoGAN (Kim et al., ICML 2017): relations between two sets of pictures, found without being told any."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mgi.systems.base import Batch, Guide, Step, frozen
from mgi.systems.layers import SLOPE, norm_of
from mgi.systems.two_ways import TwoWays, TwoWaysConfig

HALVINGS = 4
EVERY = 3
"""Discriminators move in the first of so many steps, generators in the others."""


class DiscoGANConfig(TwoWaysConfig):
    """As the public code: batches of 64, Adam at 0.0002 (0.5, 0.999), a little decay of weights, none of the rate."""

    batch: int = Field(64, ge=1)
    """Pictures per step."""
    weight_decay: float = Field(1e-5, ge=0)
    """Of all networks."""
    flip: bool = False
    """Mirror half of the pictures."""
    curriculum: int = Field(10_000, ge=0)
    """Steps in which reconstruction counts little."""
    first_rate: float = Field(0.01, ge=0, le=1)
    """Share of reconstruction in the generators' loss until then."""
    rate_after: float = Field(0.5, ge=0, le=1)
    """Share of reconstruction in the generators' loss from then on."""
    matching: float = Field(0.9, ge=0, le=1)
    """Share of feature matching in what is left; the adversarial loss has the rest."""


class DiscoGAN(TwoWays):
    """An encoder and decoder each way, against discriminators whose features are matched."""

    name, config_type = "discogan", DiscoGANConfig

    def __init__(self, config: DiscoGANConfig, training: bool = True) -> None:
        super().__init__(config, training)
        self.makers = nn.ModuleDict({side: EncoderDecoder(config.width) for side in "ab"})
        if training:
            self.compete(*(Discriminator(config.width, config.size) for _ in "ab"))

    def learn(self, batch: Batch, step: Step) -> None:
        """Equations 3 to 8 and, of the public code, feature matching; discriminators in every third step."""
        config, (a, b) = cast("DiscoGANConfig", self.config), (batch.a, batch.b)
        to_a, to_b = self.makers["a"], self.makers["b"]
        fake_a, fake_b = to_a(b), to_b(a)
        if step.number % EVERY == 0:
            self.judge(batch, fake_a, fake_b, step, weight=0.5)
            return
        rate = config.first_rate if step.number < config.curriculum else config.rate_after
        terms = {
            "reconstruction_a": rate * F.mse_loss(unit(to_a(fake_b)), unit(a)),
            "reconstruction_b": rate * F.mse_loss(unit(to_b(fake_a)), unit(b)),
            "matching_a": (1 - rate) * config.matching * self._matched("a", a, fake_a),
            "matching_b": (1 - rate) * config.matching * self._matched("b", b, fake_b),
        }
        step.update("generators", terms | self.fooled(fake_a, fake_b, (1 - rate) * (1 - config.matching)))

    def _matched(self, side: str, real: Tensor, fake: Tensor) -> Tensor:
        """Squared differences between features' means over the batch, the mean of each layer, summed over layers.

        The public code passes them to a hinge embedding loss, which for its label 1 is the mean.
        """
        judge = cast("Discriminator", self.judges[side])
        with frozen(judge):
            layers = zip(judge.features(real), judge.features(fake), strict=True)
            return torch.stack([F.mse_loss(y.mean(0), x.detach().mean(0)) for x, y in layers]).sum()

    def translate(self, a: Tensor, guide: Guide, random: torch.Generator) -> Tensor:
        """Into B, or backwards into A; nothing is random."""
        found: Tensor = self.makers["a" if guide.backwards else "b"](a)
        return found


def unit(x: Tensor) -> Tensor:
    """[-1, 1] -> [0, 1], the range of the paper's networks."""
    return (x + 1) / 2


class EncoderDecoder(nn.Module):
    """Pictures [B, 3, S, S] in [-1, 1] -> [B, 3, S, S] in [-1, 1]; S is a multiple of 16.

    At 64 channels it has 5,513,856 parameters.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [3, *(width * 2**number for number in range(HALVINGS))]
        layers: list[nn.Module] = []
        for number, (before, after) in enumerate(pairwise(widths)):
            norm = norm_of("running" if number else "none", after)
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), norm, nn.LeakyReLU(SLOPE)]
        widths.reverse()
        for before, after in pairwise(widths[:-1]):
            up = nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)
            layers += [up, norm_of("running", after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, S, S] -> [B, 3, S, S]."""
        found: Tensor = 2 * self.layers(unit(x)) - 1
        return found


class Discriminator(nn.Module):
    """Pictures [B, 3, S, S] in [-1, 1] -> one logit each [B, 1, 1, 1]; S is a multiple of 16.

    At 64 channels and 64 pixels it has 2,765,568 parameters.
    """

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        widths = [3, *(width * 2**number for number in range(HALVINGS))]
        self.convs = nn.ModuleList()
        self.norms = nn.ModuleList()
        for number, (before, after) in enumerate(pairwise(widths)):
            self.convs.append(nn.Conv2d(before, after, 4, 2, 1, bias=False))
            self.norms.append(norm_of("batch" if number else "none", after))
        self.last = nn.Conv2d(widths[-1], 1, size // 2**HALVINGS, bias=False)

    def features(self, x: Tensor) -> list[Tensor]:
        """What the layers after the first make."""
        found, x = [], unit(x)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.leaky_relu(norm(conv(x)), SLOPE)
            found.append(x)
        return found[1:]

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        found: Tensor = self.last(self.features(x)[-1])
        return found
