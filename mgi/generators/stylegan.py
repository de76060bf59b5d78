"""StyleGAN (Karras et al. 2019) in plain PyTorch operations, frozen, of any size and width.

A layer is: convolution (or the learnt constant), noise, bias, leaky ReLU, instance normalisation, style. "After L
layers" means before the normalisation and the style of the L-th, so that the tail's styles decide all that follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.generators.base import GeneratorError, require_layer
from mgi.generators.noise import Noise
from mgi.generators.styled import EPSILON, SLOPE, Linear, StyleBased
from mgi.generators.upconv import upsampled_convolution
from mgi.images import down as average
from mgi.winograd import conv3x3


@dataclass(frozen=True)
class StyledLayer:
    """One layer: weight [O, I, 3, 3] (None for the first, which is a constant), style [2 O, D], bias [O], and noise.

    The stored noise has unit variance [h, w], its strength is [O]; scales are folded in.
    """

    weight: Tensor | None
    style: Linear
    bias: Tensor
    noise: Tensor
    strength: Tensor


class StyleGAN(StyleBased):
    """A StyleGAN generator at its full resolution.

    Layers 1 and 2 are at 4 x 4, two more at every resolution after.

    Args:
        const: the learnt input [1, C, 4, 4].
        to_rgb: the last resolution's 1 x 1 convolution: weight [3, C] and bias [3].
        blur: the filter after upsampling, [3, 3].
    """

    const: Tensor
    blur: Tensor
    rgb_weight: Tensor
    rgb_bias: Tensor
    _late = 1

    def __init__(
        self,
        name: str,
        mapping: Sequence[Linear],
        const: Tensor,
        layers: Sequence[StyledLayer],
        to_rgb: Linear,
        blur: Tensor,
        w_mean: Tensor | None,
    ) -> None:
        super().__init__(name, mapping, 1.0, w_mean)
        if len(layers) % 2:
            raise GeneratorError(f"{name}: expected two layers per resolution, found {len(layers)}")
        self.layers = self.styles = len(layers)
        self.resolution = const.shape[-1] << (len(layers) // 2 - 1)
        self.register_buffer("const", const.float().clone())
        self.register_buffer("blur", blur.float()[None, None].clone())
        self.register_buffer("rgb_weight", to_rgb.weight.float()[:, :, None, None].clone())
        self.register_buffer("rgb_bias", to_rgb.bias.float().clone())
        for index, layer in enumerate(layers):
            if layer.weight is not None:
                weight = layer.weight.float().contiguous(memory_format=torch.channels_last)
                self.register_buffer(f"weight{index}", weight)
            self.register_buffer(f"style_weight{index}", layer.style.weight.float().contiguous())
            self.register_buffer(f"style_bias{index}", layer.style.bias.float().clone())
            self.register_buffer(f"bias{index}", layer.bias.float().clone())
            self.register_buffer(f"noise{index}", layer.noise.float())
            self.register_buffer(f"strength{index}", layer.strength.float().clone())
            # Noise and bias are two constants added in the same place.
            self.register_buffer(f"shift{index}", self._shift(layer.noise.float(), index))

    def layer_channels(self, layer: int) -> int:
        """C of the features after `layer` layers."""
        require_layer(self.name, self.layers, layer)
        return int(self.get_buffer(f"shift{layer - 1}").shape[0])

    def layer_size(self, layer: int) -> int:
        """h = w of the features after `layer` layers."""
        require_layer(self.name, self.layers, layer)
        return int(self.const.shape[-1]) << ((layer - 1) // 2)

    def _shift(self, noise: Tensor, index: int) -> Tensor:
        """What a map [..., h, w] and the bias add: [..., O, h, w]."""
        strength, bias = self.get_buffer(f"strength{index}"), self.get_buffer(f"bias{index}")
        return noise * strength[:, None, None] + bias[:, None, None]

    def _added(self, noise: Noise, index: int) -> Tensor:
        return self._shift(noise[index + 1], index) if index + 1 in noise else self.get_buffer(f"shift{index}")

    def _stored_map(self, layer: int) -> Tensor:
        return self.get_buffer(f"noise{layer - 1}")

    def _head(self, w: Tensor, layer: int, noise: Noise) -> Tensor:
        x = F.leaky_relu(self.const + self._added(noise, 0), SLOPE).expand(len(w), -1, -1, -1)
        return self._run(x, 1, layer, w, noise)

    def _tail(self, features: Tensor, layer: int, w: Tensor, down: int, noise: Noise) -> Tensor:
        # w: styles of the layers from `layer` on, whose own style has not been applied yet.
        x = self._styled(self._run(features, layer, self.layers, w, noise), w[:, -1], self.layers - 1)
        return average(F.conv2d(x, self.rgb_weight, self.rgb_bias), down)

    def _run(self, x: Tensor, start: int, stop: int, w: Tensor, noise: Noise) -> Tensor:
        """Layers start + 1 to stop; w[:, 0] is the style of layer `start`."""
        for layer in range(start + 1, stop + 1):
            x = self._styled(x, w[:, layer - 1 - start], layer - 2)
            weight = self.get_buffer(f"weight{layer - 1}")
            x = x.contiguous(memory_format=torch.channels_last)
            if layer % 2 == 1:
                x = upsampled_convolution(x, weight, None)
                x = F.conv2d(x, self.blur.expand(x.shape[1], -1, -1, -1), padding=1, groups=x.shape[1])
            else:
                x = conv3x3(x, weight, None)
            x = F.leaky_relu(x + self._added(noise, layer - 1), SLOPE)
        return x

    def _styled(self, x: Tensor, w: Tensor, index: int) -> Tensor:
        x = x - x.mean(dim=(2, 3), keepdim=True)
        x = x * torch.rsqrt(x.square().mean(dim=(2, 3), keepdim=True) + EPSILON)
        style = F.linear(w, self.get_buffer(f"style_weight{index}"), self.get_buffer(f"style_bias{index}"))
        scale, shift = style[:, :, None, None].chunk(2, dim=1)
        return x * (scale + 1) + shift
