"""Gradients of the layers that systems do not take from PyTorch, by finite differences: of inputs and of weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call

from mgi.systems import cocosnet_layers, regions, spade_networks, stargan_networks, swapping_layers
from mgi.systems.layers import LayerNorm2d
from mgi.systems.matching import full
from mgi.systems.panoptic import PanopticConv, PanopticUpsample, smaller
from mgi.systems.spade_networks import Scene

SIDE = 4


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.double, generator=torch.Generator().manual_seed(seed))


CLASSES = torch.eye(3, dtype=torch.double)[torch.arange(2 * SIDE * SIDE) % 5 % 3].reshape(2, SIDE, SIDE, 3)
CLASSES = CLASSES.permute(0, 3, 1, 2).contiguous()
IDENTITY = (torch.arange(2 * SIDE * SIDE) // 3 % 4).reshape(2, SIDE, SIDE)


def scene(codes: Tensor | None = None) -> Scene:
    """The same noise at every call."""
    return Scene(CLASSES, codes, random=torch.Generator().manual_seed(1))


Case = tuple[nn.Module, tuple[Tensor, ...], Callable[..., tuple[Any, ...]]]
"""A layer, what gradients are taken of, and the arguments that it is called with."""
CASES: dict[str, Callable[[], Case]] = {
    "SPADE": lambda: (spade_networks.Spade(2, 3, 3), (numbers(2, 2, SIDE, SIDE),), lambda x: (x, scene())),
    "SEAN": lambda: (
        spade_networks.Sean(2, 3, 3, 5),
        (numbers(2, 2, SIDE, SIDE), numbers(2, 3, 5, seed=1)),
        lambda x, codes: (x, scene(codes)),
    ),
    "panoptic convolution": lambda: (PanopticConv(2, 3), (numbers(2, 2, SIDE, SIDE),), lambda x: (x, IDENTITY)),
    "panoptic upsampling": lambda: (
        PanopticUpsample(3, 2),
        (numbers(2, 2, SIDE // 2, SIDE // 2),),
        lambda x: (x, smaller(IDENTITY, SIDE // 2), IDENTITY, CLASSES),
    ),
    "CoCosNet's SPADE": lambda: (
        cocosnet_layers.Spade(3, 2, 4),
        (numbers(1, 3, SIDE, SIDE), numbers(1, 2, SIDE, SIDE, seed=1)),
        lambda x, map: (x, map),
    ),
    "attention": lambda: (cocosnet_layers.Attention(8), (numbers(1, 8, 3, 3),), lambda x: (x,)),
    "AdaIN": lambda: (
        stargan_networks.StyledNorm(4, 3),
        (numbers(2, 3, SIDE, SIDE), numbers(2, 4, seed=1)),
        lambda x, style: (x, style),
    ),
    "StarGAN v2's block down": lambda: (
        stargan_networks.Halving(2, 3, normed=True),
        (numbers(1, 2, SIDE, SIDE),),
        lambda x: (x,),
    ),
    "StarGAN v2's block up": lambda: (
        stargan_networks.Styled(3, 2, 4, doubles=True),
        (numbers(1, 3, SIDE, SIDE), numbers(1, 4, seed=1)),
        lambda x, style: (x, style),
    ),
    "high pass": lambda: (stargan_networks.HighPass(2.0), (numbers(1, 2, SIDE, SIDE),), lambda x: (x,)),
    "modulated convolution": lambda: (
        swapping_layers.Modulated(2, 3, 3, 4, up=False),
        (numbers(1, 2, SIDE, SIDE), numbers(1, 4, seed=1)),
        lambda x, texture: (x, texture),
    ),
    "modulated upsampling": lambda: (
        swapping_layers.Modulated(2, 3, 3, 4, up=True),
        (numbers(1, 2, SIDE, SIDE), numbers(1, 4, seed=1)),
        lambda x, texture: (x, texture),
    ),
    "layer normalisation": lambda: (LayerNorm2d(3), (numbers(2, 3, SIDE, SIDE),), lambda x: (x,)),
}


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_finite_differences(name: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer, inputs, arguments = CASES[name]()
    layer = layer.double().train()
    weights = {key: numbers(*p.shape, seed=2 + n) for n, (key, p) in enumerate(layer.named_parameters())}
    given = [tensor.requires_grad_() for tensor in (*inputs, *weights.values())]

    def called(*tensors: Tensor) -> Tensor:
        own = dict(zip(weights, tensors[len(inputs) :], strict=True))
        own |= {key: buffer.clone() for key, buffer in layer.named_buffers()}  # statistics move
        found: Tensor = functional_call(layer, own, arguments(*tensors[: len(inputs)]))
        return found

    assert gradcheck(called, given, eps=1e-6, atol=1e-5, rtol=1e-4)


def test_gradients_of_region_means_and_their_spread() -> None:
    features, codes = numbers(2, 2, SIDE, SIDE).requires_grad_(), numbers(2, 3, 5).requires_grad_()
    assert gradcheck(lambda x: regions.region_means(x, CLASSES), (features,))
    assert gradcheck(lambda x: regions.spread(x, CLASSES), (codes,))


def test_gradients_of_a_matching() -> None:
    cold = 0.05  # the temperature is 0.01: unit vectors would leave one partner and no gradients
    rows, columns = (cold * numbers(1, 3, 6, seed=seed) for seed in (0, 1))
    given = [rows.requires_grad_(), columns.requires_grad_(), numbers(1, 6, 2, seed=2).requires_grad_()]
    assert gradcheck(lambda a, b, values: full(a, b, (2, 3)).carry(values), given)
    assert gradcheck(lambda a, b, values: full(a, b, (2, 3)).back(values), given)


def test_penalties_can_be_differentiated_again() -> None:
    """R1 and WGAN-GP are gradients of gradients."""
    layer = stargan_networks.Halving(2, 2).double().requires_grad_(False)
    assert gradgradcheck(layer, (numbers(1, 2, SIDE, SIDE).requires_grad_(),), atol=1e-4)
