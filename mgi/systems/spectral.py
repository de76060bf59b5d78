"""What SPADE and CoCosNet share: schedule, Xavier's start, spectral normalisation, discriminators that have both."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized

from mgi.systems.base import SystemConfig
from mgi.systems.layers import SLOPE
from mgi.systems.patches import MultiScale, PatchDiscriminator

GAIN = 0.02
Judged = list[list[Tensor]]
"""What every layer of every discriminator makes of pictures."""


class TwoTimeScales(SystemConfig):
    """The published schedule of both."""

    batch: int = Field(32, ge=1)
    """Pictures per step."""
    learning_rate: float = Field(2e-4, gt=0)
    """Half of it for what translates, twice of it for the discriminators (two time scales, Heusel et al. 2017)."""
    beta1: float = Field(0.0, ge=0, lt=1)
    """Decay of Adam's first moment."""
    beta2: float = Field(0.9, ge=0, lt=1)
    """Decay of Adam's second moment."""
    decay_from: float = Field(0.5, ge=0, le=1)
    """Share of the steps after which the learning rate falls linearly, to 0 at the end; 1: never."""
    jitter: bool = True
    """Enlarge by 286 / 256 and cut a random window."""


def spectral(layer: nn.Module) -> nn.Module:
    """A layer whose weight is divided by its largest singular value (Miyato et al. 2018), one power step per pass.

    Training and translation take the same weights, once the vectors of the power method are kept with them.
    """
    xavier_weights(layer)
    found: nn.Module = spectral_norm(layer)
    return found


def plain(layer: nn.Module) -> nn.Module:
    """A layer as it is, with Xavier's weights."""
    return xavier_weights(layer)


def xavier_weights(network: nn.Module, gain: float = GAIN) -> nn.Module:
    """Glorot and Bengio 2010, biases 0, as SPADE and CoCosNet start; layers under `spectral` have it already."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and not is_parametrized(module):
            nn.init.xavier_normal_(module.weight, gain)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


class SpectralPatches(PatchDiscriminator):
    """The patch discriminator of SPADE and CoCosNet: spectral and instance normalisation in all but two layers.

    Two of it under `MultiScale`, for 151 classes and 64 of width, have 5,836,930 parameters, as the public code.

    Args:
        inputs: channels.
        width: channels of the first layer.
        padding: 2 in SPADE and SEAN, 1 in CoCosNet.
        flat: a fourth layer that does not halve, which SEAN's has not.
        attention: every place looks at all others before the last but one layer, as CoCosNet's does.
    """

    def __init__(
        self, inputs: int, width: int, padding: int = 2, flat: bool = True, attention: nn.Module | None = None
    ) -> None:
        nn.Module.__init__(self)
        widths = [width * 2**number for number in range(4 if flat else 3)]
        self.convs = nn.ModuleList([plain(nn.Conv2d(inputs, width, 4, 2, padding))])
        self.norms = nn.ModuleList([nn.Identity()])
        for before, after in pairwise(widths):
            stride = 1 if flat and after == widths[-1] else 2
            self.convs.append(spectral(nn.Conv2d(before, after, 4, stride, padding, bias=False)))
            self.norms.append(nn.InstanceNorm2d(after))
        self.last = nn.Conv2d(widths[-1], 1, 4, 1, padding)
        plain(self.last)
        self.attention: nn.Module = nn.Identity() if attention is None else attention

    def features(self, x: Tensor) -> list[Tensor]:
        """What every layer makes, the logits last."""
        found = []
        for number, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            if number == len(self.convs) - 1:
                x = self.attention(x)
            x = F.leaky_relu(norm(conv(x)), SLOPE)
            found.append(x)
        return [*found, self.last(x)]


def judged_together(discriminator: MultiScale, condition: Tensor, fake: Tensor, real: Tensor) -> tuple[Judged, Judged]:
    """(what the layers make of generated pictures, of real ones), each with its condition, in one pass for both."""
    both = discriminator.features(torch.cat([torch.cat([condition, fake], 1), torch.cat([condition, real], 1)]))
    count = len(fake)
    return [[x[:count] for x in layers] for layers in both], [[x[count:] for x in layers] for layers in both]


def logits(judged: Judged) -> list[Tensor]:
    """The last layer of each discriminator."""
    return [layers[-1] for layers in judged]
