"""3 x 3 convolutions with frozen weights by Winograd's F(4 x 4, 3 x 3) (Lavin and Gray, CVPR 2016), for CPUs.

Each 4 x 4 tile of the output costs 36 products per pair of channels instead of 144, and all tiles become 36 matrix
products. Frozen weights are transformed once; weights that learn are transformed in every pass, which pays for fewer
shapes. The price is rounding: errors are about 1e-5 of the output's spread, ten times those of the direct convolution,
and the two agree to 1e-4. On two cores a layer of 512 channels takes 0.4 of the direct time (docs/benchmarks.md).
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
LEARNING_FROM_CHANNELS = 256
"""The same for weights that learn and are transformed in every pass."""

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
_WEIGHT = torch.kron(_G, _G).float().contiguous()


_matrices: Any = WeakTensorKeyDictionary()
"""The transformed weights of each frozen weight, for both directions; they are freed with the weight."""


def conv3x3(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A frozen 3 x 3 convolution with padding 1, tiled or direct, whichever is faster.

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
    """Whether tiles are faster for inputs [N, I, h, w] like x."""
    if torch.compiler.is_compiling():  # weights would be transformed in every pass, and a GPU gains nothing
        return False
    return not weight.requires_grad and _fits(shape, x, weight, FROM_CHANNELS)


def _fits(shape: Sequence[int], x: Tensor, weight: Tensor, channels: int) -> bool:
    n, _, h, w = shape
    return (
        x.dtype == weight.dtype == torch.float32
        and x.device.type == "cpu"
        and weight.shape[-1] == 3
        and min(weight.shape[:2]) >= channels
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
    return _image(torch.bmm(_tiles(x), matrices), x.shape)


def _tiles(x: Tensor) -> Tensor:
    """B^T x B of every tile: [N, I, h, w] -> [36, tiles, I]."""
    n, c, h, w = x.shape
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    image, row, column, channel = padded.stride()
    tiles = padded.as_strided((6, 6, n, h // 4, w // 4, c), (row, column, image, 4 * row, 4 * column, channel)).reshape(
        36, -1
    )
    return (_INPUT @ tiles).view(36, -1, c)


def _image(products: Tensor, shape: Sequence[int]) -> Tensor:
    """A^T m A of every tile: [36, tiles, O] -> [N, O, h, w] with N, h and w of `shape`."""
    n, _, h, w = shape
    rows, columns, outputs = h // 4, w // 4, products.shape[2]
    y = (_OUTPUT @ products.view(36, -1)).view(4, 4, n, rows, columns, outputs).permute(2, 3, 0, 4, 1, 5)
    # Written into a new tensor: later operations may work on it in place, which a view would forbid.
    result = torch.empty((n, outputs, h, w), dtype=products.dtype, memory_format=torch.channels_last)
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
        # The gradient of a convolution's input is a convolution with the kernels flipped.
        (matrices,) = ctx.saved_tensors
        return convolve(gradient, matrices), None, None, None


def learning_conv3x3(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Like `conv3x3`, for weights that learn: gradients of x, weight and bias."""
    if not _fits(x.shape, x, weight, LEARNING_FROM_CHANNELS):
        return F.conv2d(x, weight, bias, padding=1)
    y: Tensor = _LearningWinograd.apply(x, weight, bias)
    return y


class _LearningWinograd(torch.autograd.Function):
    """Every gradient is the transpose of its part of the forward pass, so transformed input and weight serve twice."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        outputs, inputs = weight.shape[:2]
        matrices = (_WEIGHT @ weight.permute(2, 3, 0, 1).reshape(9, -1)).view(36, outputs, inputs)
        tiles = _tiles(x)
        ctx.save_for_backward(matrices, tiles)
        ctx.input_shape = x.shape
        return _image(torch.bmm(tiles, matrices.transpose(1, 2)), x.shape).add_(bias.view(1, -1, 1, 1))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        matrices, tiles = ctx.saved_tensors
        n, inputs, h, w = ctx.input_shape
        rows, columns, outputs = h // 4, w // 4, matrices.shape[1]
        parts = gradient.permute(0, 2, 3, 1).reshape(n, rows, 4, columns, 4, outputs).permute(2, 4, 0, 1, 3, 5)
        products = (_OUTPUT.T @ parts.reshape(16, -1)).view(36, -1, outputs)
        of_weight = _WEIGHT.T @ torch.bmm(products.transpose(1, 2), tiles).view(36, -1)
        of_input = None
        if ctx.needs_input_grad[0]:
            of_tiles = (_INPUT.T @ torch.bmm(products, matrices).view(36, -1)).view(6, 6, n, rows, columns, inputs)
            of_input = _overlapped(of_tiles)[:, 1 : h + 1, 1 : w + 1].permute(0, 3, 1, 2)
        of_weight = of_weight.view(3, 3, outputs, inputs).permute(2, 3, 0, 1)
        return of_input, of_weight, gradient.sum((0, 2, 3))


def _overlapped(tiles: Tensor) -> Tensor:
    """Tiles [6, 6, N, rows, columns, C], added where they overlap: [N, 4 rows + 4, 4 columns + 4, C]."""
    _, _, n, rows, columns, channels = tiles.shape
    image = tiles.new_zeros(n, rows + 1, 4, columns + 1, 4, channels)
    to = image.permute(2, 4, 0, 1, 3, 5)  # the last two rows and columns of a tile lie in its neighbours
    to[:, :, :, :-1, :-1] += tiles[:4, :4]
    to[:2, :, :, 1:, :-1] += tiles[4:, :4]
    to[:, :2, :, :-1, 1:] += tiles[:4, 4:]
    to[:2, :2, :, 1:, 1:] += tiles[4:, 4:]
    return image.view(n, 4 * rows + 4, 4 * columns + 4, channels)
