"""Generators behind one protocol; `load` returns one, whatever the checkpoint's layout."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mgi.generators import mobile_stylegan
from mgi.generators.base import Generator, GeneratorError, fuse
from mgi.generators.checkpoints import label, plain_tensors, read_content
from mgi.generators.layouts import nvidia, tensorflow
from mgi.generators.layouts import pggan as pggan_layouts
from mgi.generators.layouts import stylegan as stylegan_layouts
from mgi.generators.layouts import stylegan2 as stylegan2_layouts
from mgi.generators.layouts.nesting import generator_state
from mgi.generators.pggan import PGGAN, is_mganprior, read_mganprior

__all__ = ["PGGAN", "Generator", "GeneratorError", "fuse", "load"]


def load(name_or_path: str | Path, device: str | torch.device = "cpu") -> Generator:
    """A frozen generator from a zoo name or a checkpoint file.

    Args:
        name_or_path: a generator of the zoo (`mgi weights list`), or a checkpoint in one of `LAYOUTS`: safetensors,
            what PyTorch saved, or a pickle; what it is shows from its content, whatever its name.
        device: where it computes.

    Raises:
        GeneratorError: no such name or file, or a file that holds something else.
        mgi.weights.WeightsError: the zoo's weights are missing or corrupt.
    """
    from mgi import weights

    names = [entry.name for entry in weights.entries() if entry.kind == "generator"]
    if str(name_or_path) in names:
        return _load_file(weights.path(str(name_or_path)), device)
    path = Path(os.path.expanduser(name_or_path))  # noqa: PTH111 - Path refuses an unknown ~user
    if not path.is_file():
        what = "is a folder, not a checkpoint" if path.is_dir() else "is neither a generator of the zoo nor a file"
        raise GeneratorError(f"{name_or_path} {what}; use one of {', '.join(names)} or the path of a checkpoint")
    return _load_file(path, device)


class Layout(NamedTuple):
    """A public checkpoint layout: whether a state dict is of it, and its reader."""

    name: str
    matches: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Mapping[str, Tensor], str], Any]


LAYOUTS = tuple(
    Layout(*fields)
    for fields in (
        ("PGGAN of mGANprior", is_mganprior, read_mganprior),
        ("PGGAN of genforce", pggan_layouts.is_genforce, pggan_layouts.read_genforce),
        ("PGGAN of pytorch_GAN_zoo", pggan_layouts.is_ganzoo, pggan_layouts.read_ganzoo),
        ("StyleGAN of genforce", stylegan_layouts.is_genforce, stylegan_layouts.read_genforce),
        ("StyleGAN2 of rosinality", stylegan2_layouts.is_rosinality, stylegan2_layouts.read_rosinality),
        ("StyleGAN2 of stylegan2-ada-pytorch", nvidia.is_stylegan2, nvidia.read_stylegan2),
        ("PGGAN of TensorFlow", tensorflow.is_pggan, tensorflow.read_pggan),
        ("StyleGAN of TensorFlow", tensorflow.is_stylegan, tensorflow.read_stylegan),
        ("StyleGAN2 of TensorFlow", tensorflow.is_stylegan2, tensorflow.read_stylegan2),
        ("MobileStyleGAN", mobile_stylegan.is_mobile_stylegan, mobile_stylegan.read_mobile_stylegan),
        ("StyleGAN3", nvidia.is_stylegan3, nvidia.refuse_stylegan3),
        ("StyleGAN2 of genforce", stylegan2_layouts.is_genforce, stylegan2_layouts.read_genforce),
    )
)


def checkpoint_tensors(path: Path) -> tuple[Layout, dict[str, Tensor]]:
    """(layout, the generator's own tensors under their public names) of a checkpoint file.

    Raises:
        GeneratorError: it cannot be read, or its layout is none of `LAYOUTS`.
    """
    state = generator_state(read_content(path), path.name)
    tensors = plain_tensors(state, path)
    for layout in LAYOUTS:
        if layout.matches(tensors):
            return layout, tensors
    known = ", ".join(layout.name for layout in LAYOUTS if layout.name != "StyleGAN3")
    found = ", ".join(label(key) for key in list(state)[:3]) or "nothing"
    raise GeneratorError(f"{path.name}: unknown checkpoint layout; expected one of {known}; found {found}")


def _load_file(path: Path, device: str | torch.device) -> Any:
    layout, tensors = checkpoint_tensors(path)
    return layout.read(tensors, path.name).to(device)
