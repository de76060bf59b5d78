"""A MobileStyleGAN of 64 x 64 pixels with random weights, in the zoo's layout."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mgi.generators.mobile_stylegan import MobileStyleGAN
from mgi.training.adapted.mobile import cut, with_image_head

WIDTH, CHANNELS, BLOCKS = 8, 16, 3


def tiny_mobile_state() -> dict[str, Tensor]:
    """Two layers of mapping, 16 channels everywhere, three blocks."""
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random) / math.sqrt(math.prod(shape[1:]) or 1)

    state: dict[str, Tensor] = {}

    def affine(name: str, channels: int) -> None:
        state[f"{name}.affine.weight"] = 0.5 * draw(channels, WIDTH)
        state[f"{name}.affine.bias"] = torch.ones(channels)

    for index in range(2):
        state[f"mapping.{index}.weight"], state[f"mapping.{index}.bias"] = 2 * draw(WIDTH, WIDTH), draw(WIDTH) / 8
    state["synthesis.input"] = torch.randn(1, CHANNELS, 4, 4, generator=random)
    affine("synthesis.conv0", CHANNELS)
    state["synthesis.conv0.weight"] = 1.4 * draw(CHANNELS, CHANNELS, 3, 3)
    state["synthesis.conv0.bias"], state["synthesis.conv0.noise"] = draw(CHANNELS) / 8, draw(1, 1, 4, 4) / 8
    for block in range(BLOCKS):
        rows, prefix = 8 << block, f"synthesis.blocks.{block}"
        affine(f"{prefix}.up", CHANNELS)
        for name, inputs in (("conv1", CHANNELS // 4), ("conv2", CHANNELS)):
            affine(f"{prefix}.{name}", inputs)
            state[f"{prefix}.{name}.depthwise"] = draw(inputs, 1, 3, 3) + 0.2
            state[f"{prefix}.{name}.pointwise"] = 1.4 * draw(CHANNELS, inputs, 1, 1)
            state[f"{prefix}.{name}.bias"] = draw(CHANNELS) / 8
            state[f"{prefix}.{name}.noise"] = draw(1, 1, rows, rows)
    affine("synthesis.to_image", CHANNELS)
    state["synthesis.to_image.weight"], state["synthesis.to_image.bias"] = draw(12, CHANNELS, 1, 1), draw(12) / 8
    return state


def tiny_start() -> dict[str, Tensor]:
    """The same cut at 32 x 32, with an image head: where a training begins."""
    state = tiny_mobile_state()
    return with_image_head(cut(state, 32), MobileStyleGAN(state), pictures=8)
