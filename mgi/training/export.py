"""A trained generator as a file that everything here can load, and that says what it is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mgi.generators.rounded import rounded
from mgi.weights.canonical import write_safetensors


def export_generator(path: Path, state: dict[str, Tensor], card: dict[str, str], coarse: Iterable[str] = ()) -> None:
    """Write tensors in half precision as safetensors; the card travels in the file's metadata.

    Half precision moves pixels by less than one 8-bit level (a test holds that). The file appears whole or not at all.

    Args:
        path: the file.
        state: tensors in a layout that `mgi.generators.load_file` reads.
        card: what the file says of itself.
        coarse: tensors to write in 8 bits (`mgi.generators.rounded`).

    Raises:
        OSError: it cannot be written; an older file is then untouched.
    """
    whole = rounded(state, coarse)
    tensors = {
        name: tensor.detach().cpu().numpy().astype(np.int8 if tensor.dtype == torch.int8 else np.float16)
        for name, tensor in whole.items()
    }
    write_safetensors(path, tensors, card)
