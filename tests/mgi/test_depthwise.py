"""Depthwise convolutions with frozen weights equal PyTorch's own, forward and back, to any order."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.depthwise import FrozenDepthwise, depthwise

CASES = [(3, 1, 1, 8), (5, 1, 2, 9), (3, 2, 0, 9), (3, 2, 0, 8), (5, 2, 0, 11), (5, 2, 0, 12), (5, 2, 2, 12)]


@pytest.mark.parametrize(("size", "stride", "padding", "rows"), CASES)
def test_equals_the_plain_convolution_and_its_gradients(size: int, stride: int, padding: int, rows: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, rows, rows + 1, dtype=torch.float64, requires_grad=True)
    weight, bias = torch.randn(4, 1, size, size, dtype=torch.float64), torch.randn(4, dtype=torch.float64)

    def ours(x: Tensor) -> Tensor:
        found: Tensor = FrozenDepthwise.apply(x, weight, bias, stride, padding)
        return found

    plain = F.conv2d(x, weight, bias, stride=stride, padding=padding, groups=4)
    torch.testing.assert_close(ours(x), plain)
    gradient = torch.randn_like(plain)
    torch.testing.assert_close(
        torch.autograd.grad(ours(x), x, gradient), torch.autograd.grad(plain, x, gradient), rtol=1e-10, atol=1e-10
    )
    assert torch.autograd.gradcheck(ours, (x,))
    assert torch.autograd.gradgradcheck(ours, (x,))  # R1 differentiates a gradient


@pytest.mark.parametrize(("size", "stride", "padding", "rows"), CASES)
def test_computes_in_bfloat16_under_autocast(size: int, stride: int, padding: int, rows: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 16, rows, rows, requires_grad=True)
    weight = torch.randn(16, 1, size, size) / size
    with torch.autocast("cpu", torch.bfloat16):
        half = depthwise(x, weight, None, stride, padding)
    assert half.dtype == torch.bfloat16
    exact = F.conv2d(x, weight, stride=stride, padding=padding, groups=16)
    gradient = torch.randn_like(exact)
    (found,) = torch.autograd.grad(half, x, gradient.bfloat16())
    (wanted,) = torch.autograd.grad(exact, x, gradient)
    assert float((found - wanted).abs().max()) < 0.03 * float(wanted.abs().max())


@pytest.mark.parametrize("learns", ["weight", "bias"])
def test_what_learns_gets_its_gradient(learns: str) -> None:
    x = torch.randn(2, 4, 6, 6, requires_grad=True)
    parts = {"weight": torch.randn(4, 1, 3, 3), "bias": torch.randn(4)}
    part = parts[learns].requires_grad_()
    results = (function(x, parts["weight"], parts["bias"]) for function in (depthwise, _plain))
    found, wanted = (torch.autograd.grad(result.square().sum(), (x, part)) for result in results)
    torch.testing.assert_close(found, wanted)


def _plain(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.conv2d(x, weight, bias, groups=len(weight))
