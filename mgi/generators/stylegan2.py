"""StyleGAN2 (Karras et al. 2020) in plain PyTorch operations, frozen, of any size and width.

Modulation is applied to features and demodulation to the output of the convolution. That equals the published
per-sample weights up to rounding, and lets a batch share one convolution. The image is the sum of every resolution's
toRGB. The sum so far travels with the features as three more channels, so composed codes keep it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.generators.base import GeneratorError, require_layer
from mgi.generators.noise import Noise
from mgi.generators.styled import EPSILON, SLOPE, Linear, StyleBased
from mgi.images import down as average
from mgi.winograd import conv3x3

_GAIN = math.sqrt(2.0)
BLUR = (1.0, 3.0, 3.0, 1.0)
"""The filter for every change of resolution, before it is scaled to a sum of 1."""


@dataclass(frozen=True)
class Modulated:
    """One modulated convolution: weight [O, I, k, k] and style with their scales folded in, bias [O].

    `noise` [h, w] is the stored noise of unit variance, `strength` one number; both None for toRGB.
    """

    weight: Tensor
    style: Linear
    bias: Tensor
    noise: Tensor | None = None
    strength: Tensor | None = None


class StyleGAN2(StyleBased):
    """A StyleGAN2 generator with skip connections (configurations E and F).

    Layer 1 is the convolution at 4 x 4; layers 2b and 2b + 1 are the two of block b. Features after L layers have three
    more channels than the layer: the image so far.

    Args:
        convolutions: layer by layer; every second one from the second on doubles the size.
        to_rgb: one per resolution.
        const: the learnt input [1, C, 4, 4].
        clamp: bound on the output of every convolution and every toRGB, which networks trained in half precision have.
    """

    const: Tensor
    blur: Tensor

    def __init__(
        self,
        name: str,
        mapping: Sequence[Linear],
        const: Tensor,
        convolutions: Sequence[Modulated],
        to_rgb: Sequence[Modulated],
        w_mean: Tensor | None,
        clamp: float | None = None,
    ) -> None:
        super().__init__(name, mapping, _GAIN, w_mean)
        self._clamp = clamp
        if len(convolutions) != 2 * len(to_rgb) - 1:
            raise GeneratorError(f"{name}: {len(convolutions)} convolutions do not go with {len(to_rgb)} toRGB layers")
        self.layers, self.styles = len(convolutions), len(convolutions) + 1
        self.resolution = const.shape[-1] << (len(to_rgb) - 1)
        self.register_buffer("const", const.float().contiguous(memory_format=torch.channels_last))
        kernel = torch.tensor(BLUR) / sum(BLUR)
        self.register_buffer("blur", 4 * torch.outer(kernel, kernel)[None, None], persistent=False)
        for kind, modules in (("conv", convolutions), ("rgb", to_rgb)):
            for index, module in enumerate(modules):
                self._register(f"{kind}{index}", module)

    def layer_channels(self, layer: int) -> int:
        """C of the features after `layer` layers: the layer's own, and three of the image so far."""
        require_layer(self.name, self.layers, layer)
        return int(self.get_buffer(f"conv{layer - 1}_bias").numel()) + 3

    def layer_size(self, layer: int) -> int:
        """h = w of the features after `layer` layers."""
        require_layer(self.name, self.layers, layer)
        return int(self.const.shape[-1]) << (layer // 2)

    def _head(self, w: Tensor, layer: int, noise: Noise) -> Tensor:
        return torch.cat(self._start(w, layer, noise), dim=1)

    def synthesize(self, w: Tensor, noise: Noise | None = None) -> Tensor:
        """w [B, D] or W+ [B, styles, D] -> images [B, 3, R, R]; features and image are never packed together."""
        w = self._plus(w)
        return self._image(*self._start(w, self.layers, self._checked(noise, len(w))), w[:, -1])

    def _start(self, w: Tensor, layer: int, noise: Noise) -> tuple[Tensor, Tensor]:
        """Features after `layer` layers, and the image so far."""
        x = self.const.expand(len(w), -1, -1, -1)
        image = x.new_zeros(len(w), 3, *x.shape[2:])
        return self._run(self._conv(x, w[:, 0], 0, noise), image, 1, layer, w[:, 1:], noise)

    def _tail(self, features: Tensor, layer: int, w: Tensor, down: int, noise: Noise) -> Tensor:
        # w: styles of the layers from layer + 1 on, then that of the last toRGB.
        x, image = self._run(features[:, :-3], features[:, -3:], layer, self.layers, w, noise)
        return average(self._image(x, image, w[:, -1]), down)

    def _image(self, x: Tensor, image: Tensor, w: Tensor) -> Tensor:
        return image + self._rgb(x, w, (self.layers - 1) // 2)

    def _run(self, x: Tensor, image: Tensor, start: int, stop: int, w: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Layers start + 1 to stop on features and the image so far; w[:, 0] is the style of the first of them."""
        for layer in range(start + 1, stop + 1):
            style = w[:, layer - start - 1]
            if layer % 2 == 0:  # a new resolution: the one before is finished and adds to the image
                image = self._enlarge(image + self._rgb(x, style, layer // 2 - 1))
            x = self._conv(x, style, layer - 1, noise)
        return x, image

    def _conv(self, x: Tensor, w: Tensor, index: int, noise: Noise) -> Tensor:
        prefix = f"conv{index}"
        weight, bias = self.get_buffer(f"{prefix}_weight"), self.get_buffer(f"{prefix}_bias")
        style = self._style(w, prefix)
        x = (x * style[:, :, None, None]).contiguous(memory_format=torch.channels_last)
        if index % 2 == 1:
            x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
            x = F.conv2d(x, self.blur.expand(x.shape[1], -1, -1, -1), padding=1, groups=x.shape[1])
        else:
            x = conv3x3(x, weight, None)
        demodulation = torch.rsqrt(style.square() @ self.get_buffer(f"{prefix}_power").t() + EPSILON)
        # The gain commutes with the activation, so it is folded into what is added and multiplied before it.
        added = self._added(noise[index + 1], prefix) if index + 1 in noise else self.get_buffer(f"{prefix}_added")
        x = torch.addcmul(added, x, demodulation[:, :, None, None] * _GAIN)
        return self._clamped(F.leaky_relu_(x.add_(bias[:, None, None]), SLOPE))

    def _clamped(self, x: Tensor) -> Tensor:
        return x if self._clamp is None else x.clamp(-self._clamp, self._clamp)

    def _added(self, noise: Tensor, prefix: str) -> Tensor:
        """What a map adds before the activation, whose gain is folded in."""
        return noise * self.get_buffer(f"{prefix}_strength") * _GAIN

    def _stored_map(self, layer: int) -> Tensor:
        return self.get_buffer(f"conv{layer - 1}_noise")

    def _rgb(self, x: Tensor, w: Tensor, index: int) -> Tensor:
        prefix = f"rgb{index}"
        style = self._style(w, prefix)
        weight, bias = self.get_buffer(f"{prefix}_weight"), self.get_buffer(f"{prefix}_bias")
        return self._clamped(F.conv2d(x * style[:, :, None, None], weight, bias))

    def _enlarge(self, image: Tensor) -> Tensor:
        return F.conv_transpose2d(image, self.blur.expand(3, -1, -1, -1), stride=2, padding=1, groups=3)

    def _style(self, w: Tensor, prefix: str) -> Tensor:
        return F.linear(w, self.get_buffer(f"{prefix}_style_weight"), self.get_buffer(f"{prefix}_style_bias"))

    def _register(self, prefix: str, module: Modulated) -> None:
        weight = module.weight.float()
        self.register_buffer(f"{prefix}_weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer(f"{prefix}_power", weight.square().sum(dim=(2, 3)))
        self.register_buffer(f"{prefix}_style_weight", module.style.weight.float().contiguous())
        self.register_buffer(f"{prefix}_style_bias", module.style.bias.float().clone())
        gain = 1.0 if module.noise is None else _GAIN  # toRGB has no activation
        self.register_buffer(f"{prefix}_bias", module.bias.float() * gain)
        if module.noise is not None and module.strength is not None:
            self.register_buffer(f"{prefix}_noise", module.noise.float())
            self.register_buffer(f"{prefix}_strength", module.strength.float().reshape(()))
            self.register_buffer(f"{prefix}_added", self._added(module.noise.float(), prefix))
