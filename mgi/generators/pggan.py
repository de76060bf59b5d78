"""PGGAN (Karras et al. 2018) in plain PyTorch operations, frozen, of any size and width.

A PGGAN layer is: pixel norm, twice the size (every second layer from the third on), convolution, scale, bias, leaky
ReLU. "After L layers" means after the activation of the L-th and before the pixel norm of the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.generators.base import GeneratorError, fuse, require_layer
from mgi.generators.noise import Noise, refuse_noise
from mgi.generators.pixelnorm import SLOPE, activated_pixel_norm, pixel_norm
from mgi.generators.upconv import FROM_ROWS, fused_kernel
from mgi.images import down as average
from mgi.winograd import conv3x3, pays


@dataclass(frozen=True)
class Convolution:
    """Weight [O, I, k, k] that already contains the equalised learning rate's scale, and bias [O].

    If the first layer was a linear one, its bias is [O, h, w].
    """

    weight: Tensor
    bias: Tensor


class PGGAN(nn.Module):
    """The generator of PGGAN at its full resolution, frozen.

    Args:
        convolutions: all layers from the latent on; an even number, two per resolution.
        to_rgb: the last resolution's 1 x 1 convolution to three channels.
        name: what messages call it.

    Raises:
        GeneratorError: a layer does not fit the next, or the image does not have three channels.
    """

    weight0: Tensor

    def __init__(self, convolutions: Sequence[Convolution], to_rgb: Convolution, name: str = "pggan") -> None:
        super().__init__()
        _require_fit(convolutions, to_rgb, name)
        self.name = name
        self.z_dim = convolutions[0].weight.shape[1]
        self._first_size = convolutions[0].weight.shape[-1]
        self.layers = len(convolutions)
        self.resolution = self._first_size << (self.layers // 2 - 1)
        for index, convolution in enumerate([*convolutions, to_rgb]):
            weight = _channels_last(convolution.weight.detach().float())
            self.register_buffer(f"weight{index}", weight)
            self.register_buffer(f"bias{index}", convolution.bias.detach().float().clone())
            if _doubles(index) and index < self.layers and weight.shape[-1] == 3:
                self.register_buffer(f"fused{index}", _channels_last(fused_kernel(weight)))

    def layer_channels(self, layer: int) -> int:
        """Channels after `layer` layers."""
        require_layer(self.name, self.layers, layer)
        return int(self.get_buffer(f"weight{layer - 1}").shape[0])

    def layer_size(self, layer: int) -> int:
        """Rows and columns after `layer` layers: two layers share a size."""
        require_layer(self.name, self.layers, layer)
        return self._first_size << (layer - 1) // 2

    def tail_styles(self, layer: int) -> int:
        """0: a PGGAN has no styles."""
        require_layer(self.name, self.layers, layer)
        return 0

    def forward(self, z: Tensor) -> Tensor:
        """z [B, D] -> images [B, 3, R, R]."""
        if z.ndim != 2 or z.shape[1] != self.z_dim:
            raise GeneratorError(f"{self.name} expects codes of shape [B, {self.z_dim}], found {list(z.shape)}")
        return self._image(self._start(z), 0)

    def head(self, z: Tensor, layer: int) -> Tensor:
        """z [B, D] -> features [B, C, h, w] after `layer` layers."""
        require_layer(self.name, self.layers, layer)
        return self._head(z, layer)

    def noise_shapes(self, start_layer: int = 0) -> dict[int, tuple[int, int]]:
        """Nothing: a PGGAN has no noise."""
        return {}

    def compose(
        self,
        codes: Tensor,
        alpha: Tensor,
        layer: int,
        space: str = "z",
        noise: Noise | None = None,
    ) -> Tensor:
        """Codes z [B, N, D], alpha [B, N, C] -> fused features [B, C, h, w]; see `fuse`."""
        refuse_noise(self.name, noise)
        require_layer(self.name, self.layers, layer)
        if space != "z":
            raise GeneratorError(f"{self.name} has the latent space z only, found {space!r}; invert in z")
        features = self._head(codes.flatten(0, 1), layer).unflatten(0, codes.shape[:2])
        return fuse(features, alpha.to(features.dtype))

    def render(
        self, features: Tensor, layer: int, w: Tensor | None = None, down: int = 1, noise: Noise | None = None
    ) -> Tensor:
        """Features [B, C, h, w] after `layer` layers -> images [B, 3, R / down, R / down]; no w, no noise."""
        refuse_noise(self.name, noise)
        require_layer(self.name, self.layers, layer)
        if w is not None:
            raise GeneratorError(f"{self.name} has no styles; render it without w")
        return average(self._tail(features, layer), down)

    def set_precision(self, precision: str) -> PGGAN:
        """`fp32` or `bf16` features; latents and images stay float32."""
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
        for name, buffer in self.named_buffers():
            setattr(self, name, buffer.to(dtype))
        return self

    def _start(self, z: Tensor) -> Tensor:
        """What the first layer reads; normalised in the precision of z."""
        x: Tensor = pixel_norm(z)[:, :, None, None]
        return x if self.weight0.dtype != torch.bfloat16 else x.to(torch.bfloat16)

    def _head(self, z: Tensor, layer: int) -> Tensor:
        x = self._start(z)
        for index in range(layer - 1):
            x = activated_pixel_norm(self._convolve(x, index))
        return F.leaky_relu_(self._convolve(x, layer - 1), SLOPE)

    def _tail(self, features: Tensor, layer: int) -> Tensor:
        return self._image(pixel_norm(features), layer)

    def _image(self, x: Tensor, layer: int) -> Tensor:
        """The image from what the layer with index `layer` reads: normalised features after `layer` layers."""
        for index in range(layer, self.layers):
            x = activated_pixel_norm(self._convolve(x, index))
        image = F.conv2d(x, self.get_buffer(f"weight{self.layers}"), self.get_buffer(f"bias{self.layers}"))
        return image.float() if image.dtype == torch.bfloat16 else image

    def _convolve(self, x: Tensor, index: int) -> Tensor:
        """Doubling the size (if the layer does), convolution and bias, on normalised features."""
        weight, bias = self.get_buffer(f"weight{index}"), self.get_buffer(f"bias{index}")
        if _doubles(index):
            fused = getattr(self, f"fused{index}", None)
            n, c, h, w = x.shape
            tiled = pays((n, c, 2 * h, 2 * w), x, weight)
            if fused is not None and x.shape[-2] >= FROM_ROWS and not tiled:
                return F.conv_transpose2d(x, fused, bias, stride=2, padding=1)
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        # The first layer turns the latent vector into a 4x4 map: every pixel sees one tap of a fully padded kernel.
        padding = weight.shape[-1] - 1 if index == 0 else weight.shape[-1] // 2
        if bias.ndim > 1:
            return F.conv2d(x, weight, padding=padding) + bias
        if weight.shape[-1] == 3:
            return conv3x3(x, weight, bias)
        return F.conv2d(x, weight, bias, padding=padding)


def _channels_last(weight: Tensor) -> Tensor:
    """In the memory order of the features; otherwise every convolution would copy it first."""
    return weight.contiguous(memory_format=torch.channels_last)


def _doubles(index: int) -> bool:
    """Whether the layer starts a new resolution."""
    return index >= 2 and index % 2 == 0


def _require_fit(layers: Sequence[Convolution], to_rgb: Convolution, name: str) -> None:
    for index, (before, after) in enumerate(zip(layers, [*layers[1:], to_rgb], strict=True)):
        if before.weight.shape[0] != after.weight.shape[1]:
            raise GeneratorError(
                f"{name}: layer{index} gives {before.weight.shape[0]} channels, "
                f"what follows takes {after.weight.shape[1]}; the checkpoint is damaged or mixed from two"
            )
    if to_rgb.weight.shape[0] != 3:
        raise GeneratorError(f"{name}: expected an RGB image of 3 channels, found {to_rgb.weight.shape[0]}")
