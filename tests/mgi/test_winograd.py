"""The tiled convolution against the direct one: values, gradients, and when it is used."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mgi import winograd
from mgi.winograd import conv3x3, convolve, learning_conv3x3, pays, transformed


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(2, 128, 16, 16), (30, 128, 4, 8), (1, 160, 32, 24)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_it_equals_the_direct_convolution(shape: tuple[int, ...], layout: torch.memory_format) -> None:
    x = draw(*shape).contiguous(memory_format=layout).requires_grad_()
    weight, bias = draw(144, shape[1], 3, 3, seed=1) / (9 * shape[1]) ** 0.5, draw(144, seed=2)
    assert pays(x.shape, x, weight)
    twin = x.detach().clone().requires_grad_()
    found, expected = conv3x3(x, weight, bias), F.conv2d(twin, weight, bias, padding=1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    gradient = draw(*found.shape, seed=3)
    found.backward(gradient)
    expected.backward(gradient)
    torch.testing.assert_close(x.grad, twin.grad, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", [(2, 256, 16, 16), (1, 320, 32, 24)])
def test_weights_that_learn_get_the_direct_gradients(shape: tuple[int, ...]) -> None:
    x = draw(*shape).contiguous(memory_format=torch.channels_last)
    weight, bias = draw(272, shape[1], 3, 3, seed=1) / (9 * shape[1]) ** 0.5, draw(272, seed=2)
    gradient = draw(shape[0], 272, *shape[2:], seed=3)
    found, expected = (
        [t.clone().requires_grad_() for t in (x, weight, bias)],
        [t.clone().requires_grad_() for t in (x, weight, bias)],
    )
    y = learning_conv3x3(*found)
    assert "Winograd" in type(y.grad_fn).__name__
    twin = F.conv2d(*expected, padding=1)
    torch.testing.assert_close(y, twin, atol=1e-4, rtol=1e-4)
    y.backward(gradient)
    twin.backward(gradient)
    for one, other in zip(found, expected, strict=True):
        assert one.grad is not None and other.grad is not None
        spread = float(other.grad.std())
        torch.testing.assert_close(one.grad, other.grad, atol=1e-4 * spread, rtol=1e-4)


def test_few_channels_that_learn_take_the_direct_way() -> None:
    weight, bias = draw(128, 128, 3, 3).requires_grad_(), draw(128).requires_grad_()
    y = learning_conv3x3(draw(2, 128, 16, 16), weight, bias)
    assert "Winograd" not in type(y.grad_fn).__name__


def test_it_is_exact_in_principle(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float64 the difference vanishes, so the difference in float32 is rounding."""
    x, weight = draw(1, 3, 8, 8).double(), draw(2, 3, 3, 3, seed=1)
    monkeypatch.setattr(winograd, "_INPUT", winograd._INPUT.double())
    # A^T x A of the output in float64: entries of float32 are exact, they are whole numbers.
    monkeypatch.setattr(winograd, "_OUTPUT", winograd._OUTPUT.double())
    matrices = torch.einsum("ai,bj,ocij->abco", winograd._G, winograd._G, weight.double()).flatten(0, 1)
    direct = F.conv2d(x, weight.double(), padding=1)
    torch.testing.assert_close(convolve(x, matrices), direct, atol=1e-10, rtol=1e-10)
    assert transformed(weight).shape == (36, 3, 2)


def test_it_is_taken_where_it_pays_only() -> None:
    weight = draw(128, 128, 3, 3)
    x = draw(2, 128, 16, 16)
    assert pays(x.shape, x, weight)
    assert not pays((2, 128, 18, 16), x, weight), "no whole tiles"
    assert not pays((1, 128, 8, 8), x, weight), "too few tiles"
    assert not pays(x.shape, x.double(), weight)
    assert not pays(x.shape, x, weight.clone().requires_grad_())
    assert not pays(x.shape, x, draw(64, 128, 3, 3))
    assert not pays(x.shape, x, draw(128, 128, 1, 1))


def test_transformed_weights_go_with_their_weights() -> None:
    before = len(winograd._matrices)
    weight = draw(128, 128, 3, 3)
    conv3x3(draw(2, 128, 16, 16), weight, None)
    assert len(winograd._matrices) == before + 1
    del weight
    assert len(winograd._matrices) == before
