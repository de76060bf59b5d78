"""All public checkpoint layouts, in the order in which a checkpoint is compared with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor

from mgi.generators.layouts import mganprior, mobile_stylegan, nvidia, pggan, stylegan, stylegan2, tensorflow
from mgi.generators.protocols import Generator


class Layout(NamedTuple):
    """A public checkpoint layout: a test whether a state dict has it, and its reader."""

    name: str
    matches: Callable[[Mapping[str, Tensor]], bool]
    read: Callable[[Mapping[str, Tensor], str], Generator]


LAYOUTS = (
    Layout("PGGAN of mGANprior", mganprior.is_mganprior, mganprior.read_mganprior),
    Layout("PGGAN of genforce", pggan.is_genforce, pggan.read_genforce),
    Layout("PGGAN of pytorch_GAN_zoo", pggan.is_ganzoo, pggan.read_ganzoo),
    Layout("StyleGAN of genforce", stylegan.is_genforce, stylegan.read_genforce),
    Layout("StyleGAN2 of rosinality", stylegan2.is_rosinality, stylegan2.read_rosinality),
    Layout("StyleGAN2 of stylegan2-ada-pytorch", nvidia.is_stylegan2, nvidia.read_stylegan2),
    Layout("PGGAN of TensorFlow", tensorflow.is_pggan, tensorflow.read_pggan),
    Layout("StyleGAN of TensorFlow", tensorflow.is_stylegan, tensorflow.read_stylegan),
    Layout("StyleGAN2 of TensorFlow", tensorflow.is_stylegan2, tensorflow.read_stylegan2),
    Layout("MobileStyleGAN", mobile_stylegan.is_mobile_stylegan, mobile_stylegan.read_mobile_stylegan),
    Layout("StyleGAN3", nvidia.is_stylegan3, nvidia.refuse_stylegan3),
    Layout("StyleGAN2 of genforce", stylegan2.is_genforce, stylegan2.read_genforce),
)
