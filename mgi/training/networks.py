"""The networks to train: PGGAN's generator, and a residual discriminator that is dropped afterwards.

Both use equalised learning rates (Karras et al. 2018, section 4.1): parameters are drawn from N(0, 1) and scaled by
gain / sqrt(fan-in) where they are used, so Adam moves all of them at the same speed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.generators.pixelnorm import plain_pixel_norm as pixel_norm
from mgi.generators.upconv import upsampled_convolution

SLOPE = 0.2
GAIN = math.sqrt(2.0)
Wrap = Callable[[nn.Module], nn.Module]
GROUP = 4
"""Images that share one minibatch standard deviation."""


class Convolution(nn.Module):
    """A convolution or, with size 1 on [B, C, 1, 1], a linear layer, with an equalised learning rate.

    Args:
        gain: sqrt(2) before a leaky ReLU, 1 before an output.
        stride, padding: as for `torch.nn.functional.conv2d`; padding None means `size // 2`.
    """

    def __init__(
        self, inputs: int, outputs: int, size: int, gain: float = GAIN, stride: int = 1, padding: int | None = None
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = gain / math.sqrt(inputs * size * size)
        self.stride, self.padding = stride, size // 2 if padding is None else padding

    def forward(self, x: Tensor) -> Tensor:
        """[B, I, H, W] -> [B, O, h, w] with the weight scaled at run time; a first layer's bias may be [O, h, w]."""
        bias, rest = (self.bias, None) if self.bias.ndim == 1 else (None, self.bias)
        y = F.conv2d(x, self.weight * self.scale, bias, stride=self.stride, padding=self.padding)
        return y if rest is None else y + rest


class PGGANGenerator(nn.Module):
    """The generator of PGGAN at its last resolution, trainable; `mgi.generators.load_file` reads its export.

    Args:
        channels: channels of each resolution from 4 x 4 on; how many there are decides the resolution.
        z_dim: of the latent codes, z ~ N(0, 1).
    """

    def __init__(self, channels: Sequence[int], z_dim: int) -> None:
        super().__init__()
        self.z_dim, self.resolution = z_dim, 4 << (len(channels) - 1)
        layers = [Convolution(z_dim, channels[0], 4, padding=3), Convolution(channels[0], channels[0], 3)]
        for before, after in itertools.pairwise(channels):
            layers += [Convolution(before, after, 3), Convolution(after, after, 3)]
        self.layers = nn.ModuleList(layers)
        self.to_rgb = Convolution(channels[-1], 3, 1, gain=1.0)

    def forward(self, z: Tensor, kept: list[Tensor] | None = None) -> Tensor:
        """z [B, D] -> images [B, 3, R, R], aimed at [-1, 1]; what every layer makes is added to `kept`."""
        x = z[:, :, None, None].contiguous(memory_format=torch.channels_last)
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, Convolution)
            x = pixel_norm(x)
            if index >= 2 and index % 2 == 0:
                x = upsampled_convolution(x, layer.weight * layer.scale, layer.bias)
            else:
                x = layer(x)
            x = F.leaky_relu(x, SLOPE)
            if kept is not None:
                kept.append(x)
        images: Tensor = self.to_rgb(pixel_norm(x))
        return images

    def mganprior_state(self) -> dict[str, Tensor]:
        """The parameters under the names that mGANprior publishes (see `mgi.generators.layouts.mganprior`)."""
        state = {}
        names = {f"layer{index}": layer for index, layer in enumerate(self.layers)}
        names[f"output{len(self.layers) // 2 - 1}"] = self.to_rgb
        for name, layer in names.items():
            assert isinstance(layer, Convolution)
            state[f"{name}.conv.weight"] = layer.weight.detach().clone()
            state[f"{name}.wscale.bias"] = layer.bias.detach().clone()
        return state | {"lod": torch.zeros(())}


class Trunk(nn.Module):
    """Residual blocks from pixels down to 4 x 4, shared in form by discriminator and encoder.

    First it turns 2 x 2 pixels into channels. So it costs a third as much as a mirror image of the generator would, on
    which most of the time was spent (docs/training.md).
    """

    def __init__(self, channels: Sequence[int], wrap: Wrap) -> None:
        super().__init__()
        widths = list(reversed(channels))[1:]
        self.width = widths[-1]
        self.from_rgb = wrap(Convolution(12, widths[0], 1))
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                {
                    "first": wrap(Convolution(before, before, 3)),
                    "second": wrap(Convolution(before, after, 3, stride=2)),
                    "skip": wrap(Convolution(before, after, 1, gain=1.0)),
                }
            )
            for before, after in itertools.pairwise(widths)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, 3, R, R] -> features [B, C, 4, 4]."""
        x = F.pixel_unshuffle(images, 2).contiguous(memory_format=torch.channels_last)
        x = F.leaky_relu(self.from_rgb(x), SLOPE)
        for block in self.blocks:
            assert isinstance(block, nn.ModuleDict)
            y = F.leaky_relu(block["first"](x), SLOPE)
            y = F.leaky_relu(block["second"](y), SLOPE)
            x = (y + block["skip"](F.avg_pool2d(x, 2))) / GAIN
        return x


class Discriminator(nn.Module):
    """A residual discriminator with a minibatch standard deviation; logits, no sigmoid.

    Args:
        channels: of each resolution from 4 x 4 on, as for the generator.
        spectral: normalise every weight by its largest singular value (Miyato et al. 2018).
        deviation: False: without it.
    """

    def __init__(self, channels: Sequence[int], spectral: bool = False, deviation: bool = True) -> None:
        super().__init__()
        self.deviation = deviation
        wrap: Wrap = spectral_norm if spectral else _plain
        self.trunk = Trunk(channels, wrap)
        width = self.trunk.width
        self.last = wrap(Convolution(width + 1, width, 3))
        self.dense = wrap(Convolution(width, width, 4, padding=0))
        self.logit = wrap(Convolution(width, 1, 1, gain=1.0))

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, 3, R, R] -> logits [B], high where they look real."""
        x = F.leaky_relu(self.last(minibatch_deviation(self.trunk(images), self.deviation)), SLOPE)
        x = F.leaky_relu(self.dense(x), SLOPE)
        logits: Tensor = self.logit(x)
        return logits.flatten()


class Encoder(nn.Module):
    """Images to latent codes, for the reconstruction term; half as wide as a discriminator."""

    def __init__(self, channels: Sequence[int], z_dim: int) -> None:
        super().__init__()
        self.trunk = Trunk([width // 2 for width in channels], _plain)
        self.code = Convolution(self.trunk.width, z_dim, 4, gain=1.0, padding=0)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, 3, R, R] -> codes [B, D] on the sphere where almost all of N(0, I) lies."""
        codes: Tensor = self.code(self.trunk(images))
        return pixel_norm(codes).flatten(1)


def minibatch_deviation(x: Tensor, measured: bool = True) -> Tensor:
    """[B, C, h, w] with one more channel: how much the images of a group differ (Karras et al. 2018, section 3).

    Groups are neighbours in the batch, so real and generated images in one batch do not see each other if there are
    multiples of `GROUP` of each.

    Args:
        measured: False: the channel is 0, and nobody sees it.
    """
    if not measured:
        return F.pad(x, (0, 0, 0, 0, 0, 1))
    size = math.gcd(len(x), GROUP)
    groups = x.float().unflatten(0, (-1, size))
    deviation = (groups.var(dim=1, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    plane = deviation.repeat_interleave(size).view(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])
    return torch.cat([x, plane.to(x.dtype)], dim=1)


def spectral_norm(module: nn.Module) -> nn.Module:
    """PyTorch's spectral normalisation of `module.weight`; the equalised scale no longer applies to it."""
    assert isinstance(module, Convolution)
    module.scale = 1.0
    return nn.utils.parametrizations.spectral_norm(module)


def default_channels(resolution: int, base: int = 256, full: int = 16) -> tuple[int, ...]:
    """Channels of each resolution from 4 x 4 on: `base` up to `full` / 2 pixels, halved with every doubling after.

    Example:
        >>> default_channels(64)
        (256, 256, 128, 64, 32)
    """
    sizes = [4 << step for step in range((resolution // 4).bit_length())]
    return tuple(max(16, base * full // (2 * size)) if size >= full else base for size in sizes)


def _plain(module: nn.Module) -> nn.Module:
    return module
