"""3 x 3 convolutions with frozen weights by Winograd's F(4 x 4, 3 x 3) (Lavin and Gray, CVPR 2016), for CPUs.

Each 4 x 4 tile of the output costs 36 products per pair of channels instead of 144, and all tiles become 36 matrix
products. Weights are transformed once, which is why this pays for frozen networks only. The price is rounding: errors
are about 1e-5 of the output's spread, ten times those of the direct way, and both ways agree to 1e-4. On two cores a
layer of 512 channels takes 0.4 of the direct time (docs/benchmarks.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

FROM_CHANNELS = 128
"""Layers with fewer channels spend more on the transforms than they save."""
FROM_TILES = 32
"""Fewer tiles than this (images x rows x columns / 16) read more weights than they save products."""

_BT = torch.tensor(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    dtype=torch.float64,
)
_G = torch.tensor(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    dtype=torch.float64,
)
_AT = torch.tensor(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], dtype=torch.float64
)
# Rows and columns in one product: (B^T x) B as a 36 x 36 matrix on flattened tiles.
_INPUT = torch.kron(_BT, _BT).float().contiguous()
_OUTPUT = torch.kron(_AT, _AT).float().contiguous()


_matrices: Any = WeakTensorKeyDictionary()
"""Transformed weights of each frozen weight, for both directions; they go when the weight goes."""


def conv3x3(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A frozen 3 x 3 convolution with padding 1, by the faster of two ways.

    Args:
        x: [N, I, h, w].
        weight: [O, I, 3, 3]; must not change any more.
        bias: [O] or None.

    Returns:
        [N, O, h, w].
    """
    if not pays(x.shape, x, weight):
        return F.conv2d(x, weight, bias, padding=1)
    if weight not in _matrices:
        _matrices[weight] = transformed(weight), transformed(weight.flip(2, 3).transpose(0, 1))
    y: Tensor = _Winograd.apply(x, *_matrices[weight], bias)
    return y


def pays(shape: Sequence[int], x: Tensor, weight: Tensor) -> bool:
    """Whether the tiled way is the faster one for inputs [N, I, h, w] of x's kind."""
    n, _, h, w = shape
    return (
        x.dtype == weight.dtype == torch.float32
        and x.device.type == "cpu"
        and not weight.requires_grad
        and weight.shape[-1] == 3
        and min(weight.shape[:2]) >= FROM_CHANNELS
        and h % 4 == 0
        and w % 4 == 0
        and n * h * w >= 16 * FROM_TILES
    )


def transformed(weight: Tensor) -> Tensor:
    """Weights [O, I, 3, 3] as 36 matrices [36, I, O]."""
    found = torch.einsum("ai,bj,ocij->abco", _G, _G, weight.double())
    return found.flatten(0, 1).float().contiguous()


def convolve(x: Tensor, matrices: Tensor) -> Tensor:
    """x [N, I, h, w], matrices of `transformed` -> [N, O, h, w], channels last; h and w are multiples of 4."""
    n, c, h, w = x.shape
    rows, columns, outputs = h // 4, w // 4, matrices.shape[2]
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    image, row, column, channel = padded.stride()
    tiles = padded.as_strided(
        (6, 6, n, rows, columns, c), (row, column, image, 4 * row, 4 * column, channel)
    ).reshape(36, -1)
    products = torch.bmm((_INPUT @ tiles).view(36, n * rows * columns, c), matrices)
    y = (_OUTPUT @ products.view(36, -1)).view(4, 4, n, rows, columns, outputs).permute(2, 3, 0, 4, 1, 5)
    # Written into a tensor of its own: what follows may work on it in place, which a view would forbid.
    result = torch.empty((n, outputs, h, w), dtype=x.dtype, memory_format=torch.channels_last)
    result.permute(0, 2, 3, 1).view(n, rows, 4, columns, 4, outputs).copy_(y)
    return result


class _Winograd(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, matrices: Tensor, backward_matrices: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(backward_matrices)
        y = convolve(x, matrices)
        return y if bias is None else y.add_(bias.view(1, -1, 1, 1))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        # The gradient of a convolution's input is a convolution with the kernels turned round.
        (matrices,) = ctx.saved_tensors
        return convolve(gradient, matrices), None, None, None
