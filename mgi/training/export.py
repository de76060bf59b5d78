"""A trained generator as a file that everything here can load, and that says what it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from mgi.weights.canonical import write_safetensors


def export_generator(path: Path, state: dict[str, Tensor], card: dict[str, str]) -> None:
    """Write tensors in half precision as safetensors; the card travels in the file's metadata.

    Half precision moves pixels by less than one 8-bit level (a test holds that). The file appears whole or not at all.

    Raises:
        OSError: it cannot be written; an older file is then untouched.
    """
    tensors = {name: tensor.detach().cpu().numpy().astype(np.float16) for name, tensor in state.items()}
    write_safetensors(path, tensors, card)
