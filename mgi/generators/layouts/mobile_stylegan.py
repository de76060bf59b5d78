"""MobileStyleGAN as `mgi weights fetch` and `mgi weights convert` write it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mgi.generators.mobile_stylegan import MobileStyleGAN


def is_mobile_stylegan(state: Mapping[str, object]) -> bool:
    """Whether a state dict is a MobileStyleGAN."""
    return "synthesis.conv0.affine.weight" in state and "synthesis.to_image.weight" in state


def read_mobile_stylegan(state: Mapping[str, Tensor], name: str) -> MobileStyleGAN:
    """From `mapping.{i}`, `synthesis.{input,conv0,to_image}` and `synthesis.blocks.{i}`.

    Raises:
        GeneratorError: a tensor is missing.
    """
    return MobileStyleGAN({name: tensor.float() for name, tensor in state.items()}).eval()
