"""Depthwise convolutions, which with a frozen weight have a gradient that runs on the fast forward kernel.

On CPUs PyTorch's own gradient takes up to 80 times as long as the convolution in bfloat16 where the stride is 2, and
two to three times as long where it is 1 (docs/benchmarks.md). The adjoint of a convolution is one with the flipped
kernel, of the gradient spread out by the stride.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def depthwise(x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 0) -> Tensor:
    """What `F.conv2d` with one group per channel returns; fast where weight and bias are frozen.

    Args:
        x: features [B, C, H, W].
        weight: [C, 1, k, k], k odd; bias [C] or None.
        stride: 1 or 2.
        padding: zeros on every side, less than k.
    """
    learns = weight.requires_grad or (bias is not None and bias.requires_grad)
    # Float32 at stride 2 is the one case where PyTorch's gradient is the faster one; GPUs have kernels of their own.
    if x.is_cuda or learns or not x.requires_grad or (stride > 1 and not _halved(x)):
        return F.conv2d(x, weight, bias, stride=stride, padding=padding, groups=len(weight))
    result: Tensor = FrozenDepthwise.apply(x, weight, bias, stride, padding)
    return result


class FrozenDepthwise(torch.autograd.Function):
    """`depthwise` on a CPU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
        """[B, C, H, W] -> [B, C, H', W']."""
        ctx.save_for_backward(weight)
        ctx.rows, ctx.stride, ctx.padding = x.shape[-2:], stride, padding
        return F.conv2d(x, weight, bias, stride=stride, padding=padding, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None]:
        """Gradient of the features [B, C, H, W]; differentiable itself."""
        (weight,) = ctx.saved_tensors
        grad, side = grads[0].contiguous(memory_format=torch.channels_last), weight.shape[-1]
        if ctx.stride > 1:
            # Rows and columns at the end that no stride reached get nothing, so they are zeros as well.
            rows, columns = (length + 2 * ctx.padding - side + 1 for length in ctx.rows)
            shape = (*grad.shape[:2], rows, columns)
            spread = torch.empty(shape, dtype=grad.dtype, memory_format=torch.channels_last, device=grad.device).zero_()
            spread[:, :, :: ctx.stride, :: ctx.stride] = grad
            grad = spread
        flipped = weight.flip(2, 3).to(grad.dtype)
        found = F.conv2d(grad, flipped, padding=side - 1 - ctx.padding, groups=len(weight))
        return found, None, None, None, None


def _halved(x: Tensor) -> bool:
    """Whether a convolution of x computes in bfloat16."""
    return x.dtype == torch.bfloat16 or (
        torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    )
