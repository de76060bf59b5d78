"""From a checkpoint file to a frozen generator: its content, the generator in it, its layout, that layout's reader."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from mgi.generators.base import GeneratorError
from mgi.generators.checkpoints import label, plain_tensors, read_content
from mgi.generators.layouts.nesting import generator_state
from mgi.generators.layouts.table import LAYOUTS, Layout
from mgi.generators.protocols import Generator


def load_file(path: Path, device: str | torch.device = "cpu") -> Generator:
    """The generator in a checkpoint file, frozen.

    Args:
        path: a checkpoint in one of `LAYOUTS`: safetensors, what PyTorch saved, or a pickle; its content tells which,
            whatever its name.
        device: the device to compute on.

    Raises:
        GeneratorError: there is no such file, or it holds something else.
    """
    layout, tensors = checkpoint_tensors(path)
    return layout.read(tensors, path.name).to(device)


def checkpoint_tensors(path: Path) -> tuple[Layout, dict[str, Tensor]]:
    """(layout, the generator's own tensors under their public names) of a checkpoint file.

    Raises:
        GeneratorError: it is not a file, cannot be read, or has none of the layouts in `LAYOUTS`.
    """
    if not path.is_file():
        raise GeneratorError(f"{path} is no file; give a generator's checkpoint")
    state = generator_state(read_content(path), path.name)
    tensors = plain_tensors(state, path)
    for layout in LAYOUTS:
        if layout.matches(tensors):
            return layout, tensors
    known = ", ".join(layout.name for layout in LAYOUTS if layout.name != "StyleGAN3")
    found = ", ".join(label(key) for key in list(state)[:3]) or "nothing"
    raise GeneratorError(f"{path.name}: unknown checkpoint layout; expected one of {known}; found {found}")
