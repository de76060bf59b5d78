"""A published generator in any layout that `mgi.generators` reads: its own tensors under their public names."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from torch import Tensor

from mgi.generators.loading import checkpoint_tensors
from mgi.weights.canonical import write_safetensors


def convert_generator(checkpoint: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The generator's tensors, and its layout.

    Raises:
        GeneratorError: the file has no known layout, or asks for more than reading tensors.
    """
    layout, tensors = checkpoint_tensors(checkpoint)
    return _arrays(tensors), {"layout": layout.name}


def convert_checkpoint(source: Path, target: Path) -> tuple[str, int]:
    """Write the generator in `source` to `target`, which `mgi.generators.load_file` reads to the same numbers.

    Returns:
        (layout, resolution).

    Raises:
        GeneratorError: `source` cannot be used.
        OSError: `target` cannot be written; nothing is left under its name then.
    """
    layout, tensors = checkpoint_tensors(source)
    resolution = layout.read(tensors, source.name).resolution  # write nothing that cannot be used
    with source.open("rb") as file:
        origin = hashlib.file_digest(file, "sha256").hexdigest()
    write_safetensors(target, _arrays(tensors), {"layout": layout.name, "source_sha256": origin})
    return layout.name, resolution


def _arrays(tensors: dict[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: tensor.detach().contiguous().numpy() for name, tensor in tensors.items()}
