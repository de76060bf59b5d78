"""Fused building blocks of the fast path, each equal to the plain code for it in `mobile_stylegan.py`.

All of them work on channels-last features and on frozen weights: gradients flow to features and styles only, which is
all that inversion needs, and the backward pass reuses what the forward pass had to write anyway. The gain is in memory
traffic: at 512 x 512 every pass over the features costs a third as much as the convolution next to it.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

SLOPE = 0.2
_PIECE = 2048
_ROWS = 256


def modulate_features(rows: int, positions: int, style: Tensor) -> bool:
    """Whether a style is cheaper multiplied into features than into the weight of the 1x1 convolution behind them.

    The gradient of a modulated weight is a product as large as the convolution itself, that of modulated features one
    pass over them; so it depends on the rows of the weight, 256 of which are measured to break even on CPUs
    (docs/benchmarks.md). GPUs were measured with modulated weights only, and keep them. Whether a gradient is asked for
    does not count: a picture has the same bits with and without.

    Args:
        rows: of the weight, the channels that come out.
        positions: per picture.
        style: [B, C].
    """
    return not style.is_cuda and (positions <= rows or rows >= _ROWS)


class PointwiseActivation(torch.autograd.Function):
    """lrelu(x W_b^T + bias + noise): a modulated 1x1 convolution with its epilogue, written once.

    x [B,P,C], weight [B,O,C] (styles already multiplied in), bias [O], noise [P,1] -> [B,P,O].
    """

    @staticmethod
    def forward(ctx: Any, x_bpc: Tensor, weight_boc: Tensor, bias_o: Tensor, noise_p1: Tensor) -> Tensor:
        """[B,P,C] -> [B,P,O]; addition and activation happen in the memory of the product."""
        if x_bpc.shape[0] == 1:
            out = torch.addmm(bias_o, x_bpc[0], weight_boc[0].t()).unsqueeze(0)
        else:
            out = torch.baddbmm(bias_o.expand(x_bpc.shape[0], 1, -1), x_bpc, weight_boc.transpose(1, 2))
        out += noise_p1
        F.leaky_relu_(out, SLOPE)
        ctx.save_for_backward(x_bpc, weight_boc, out)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        """Gradients of features [B,P,C] and modulated weight [B,O,C], each only if it is asked for."""
        x, weight, out = ctx.saved_tensors
        # the slope is positive, so the sign of the result is the sign of its argument
        grad = torch.ops.aten.leaky_relu_backward(grads[0], out, SLOPE, True)
        grad_x = torch.bmm(grad, weight) if ctx.needs_input_grad[0] else None
        grad_weight = over_positions(grad, x) if ctx.needs_input_grad[1] else None
        return grad_x, grad_weight, None, None


class Pointwise(torch.autograd.Function):
    """x W_b^T + bias: a modulated 1x1 convolution. x [B,P,C], weight [B,O,C], bias [O] -> [B,P,O]."""

    @staticmethod
    def forward(ctx: Any, x_bpc: Tensor, weight_boc: Tensor, bias_o: Tensor) -> Tensor:
        """[B,P,C] -> [B,P,O]."""
        ctx.save_for_backward(x_bpc, weight_boc)
        return torch.baddbmm(bias_o.expand(len(x_bpc), 1, -1), x_bpc, weight_boc.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """Gradients of features [B,P,C] and modulated weight [B,O,C], each only if it is asked for."""
        x, weight = ctx.saved_tensors
        grad_x = torch.bmm(grads[0], weight) if ctx.needs_input_grad[0] else None
        grad_weight = over_positions(grads[0], x) if ctx.needs_input_grad[1] else None
        return grad_x, grad_weight, None


def over_positions(grad_bpo: Tensor, x_bpc: Tensor, gpu: bool | None = None) -> Tensor:
    """The sum over positions of their outer products, grad^T x: [B,P,O], [B,P,C] -> [B,O,C].

    A quarter of a million positions and a few dozen channels: cuBLAS gives such a product to a handful of its
    processors, which took half the time of a step on an H100. In pieces of `_PIECE` positions it uses all of them.

    Args:
        grad_bpo, x_bpc: the factors.
        gpu: whether to cut into pieces; None: if they are on a GPU.
    """
    b, p, o = grad_bpo.shape
    pieces = p // _PIECE
    if not (grad_bpo.is_cuda if gpu is None else gpu) or pieces < 2 or p % _PIECE:
        return torch.bmm(grad_bpo.transpose(1, 2), x_bpc)
    grad, x = grad_bpo.reshape(b * pieces, _PIECE, o), x_bpc.reshape(b * pieces, _PIECE, -1)
    return torch.bmm(grad.transpose(1, 2), x).view(b, pieces, o, -1).sum(1)


class StyledInverseHaar(torch.autograd.Function):
    """Scale channels, then one inverse Haar step: [B,C,H,W], style [B,C] -> [B,C/4,2H,2W].

    Channels are four consecutive groups: LL, LH, HL, HH (see `haar_order`).
    """

    @staticmethod
    def forward(ctx: Any, x_bchw: Tensor, style_bc: Tensor) -> Tensor:
        """[B,C,H,W] -> [B,C/4,2H,2W]."""
        ctx.save_for_backward(x_bchw, style_bc)
        return _butterfly_up(x_bchw * style_bc[:, :, None, None])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None]:
        """Gradients of features [B,C,H,W] and style [B,C], the latter only if it is asked for."""
        x, style = ctx.saved_tensors
        grad = _butterfly_down(grads[0])
        grad_style = (grad * x).sum((2, 3)) if ctx.needs_input_grad[1] else None
        return grad.mul_(style[:, :, None, None]), grad_style


def haar_order(channels: int) -> Tensor:
    """Index that turns the exported channel order (LL block, then LH/HL/HH interleaved) to four blocks."""
    quarter = channels // 4
    interleaved = quarter + torch.arange(3 * quarter).view(quarter, 3)
    return torch.cat([torch.arange(quarter), interleaved.t().reshape(-1)])


def haar_analysis(images_bchw: Tensor) -> Tensor:
    """One orthonormal Haar step: [B,C,2H,2W] -> [B,4C,H,W] as [LL | LH | HL | HH]."""
    return _butterfly_down(images_bchw)


def _nhwc(x_bchw: Tensor) -> Tensor:
    return x_bchw.permute(0, 2, 3, 1).contiguous()


def _butterfly_up(x_bchw: Tensor) -> Tensor:
    """One orthonormal inverse Haar step on channels [LL | LH | HL | HH]."""
    x = _nhwc(x_bchw)
    b, h, w, c = x.shape
    ll, lh, hl, hh = x.split(c // 4, dim=3)
    out = x.new_empty(b, h, 2, w, 2, c // 4)
    low_plus, low_minus = ll + lh, ll - lh
    high_plus, high_minus = hl + hh, hl - hh
    torch.add(low_plus, high_plus, out=out[:, :, 0, :, 0])
    torch.sub(low_plus, high_plus, out=out[:, :, 0, :, 1])
    torch.add(low_minus, high_minus, out=out[:, :, 1, :, 0])
    torch.sub(low_minus, high_minus, out=out[:, :, 1, :, 1])
    return out.mul_(0.5).view(b, 2 * h, 2 * w, c // 4).permute(0, 3, 1, 2)


def _butterfly_down(y_bchw: Tensor) -> Tensor:
    """The adjoint (and inverse) of `_butterfly_up`."""
    y = _nhwc(y_bchw)
    b, h2, w2, c = y.shape
    y = y.view(b, h2 // 2, 2, w2 // 2, 2, c)
    top_plus, top_minus = y[:, :, 0, :, 0] + y[:, :, 0, :, 1], y[:, :, 0, :, 0] - y[:, :, 0, :, 1]
    bottom_plus, bottom_minus = y[:, :, 1, :, 0] + y[:, :, 1, :, 1], y[:, :, 1, :, 0] - y[:, :, 1, :, 1]
    out = y.new_empty(b, h2 // 2, w2 // 2, 4, c)
    torch.add(top_plus, bottom_plus, out=out[..., 0, :])
    torch.sub(top_plus, bottom_plus, out=out[..., 1, :])
    torch.add(top_minus, bottom_minus, out=out[..., 2, :])
    torch.sub(top_minus, bottom_minus, out=out[..., 3, :])
    return out.mul_(0.5).view(b, h2 // 2, w2 // 2, 4 * c).permute(0, 3, 1, 2)
