"""A generator's tensors, out of whatever file they came in, as safetensors under their public names."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mgi.generators import GeneratorError, checkpoint_tensors
from mgi.weights.canonical import write_safetensors


def convert_checkpoint(source: Path, target: Path) -> tuple[str, int]:
    """Write the generator in `source` to `target`, which `mgi.generators.load` reads to the same numbers.

    Returns:
        (layout, resolution).

    Raises:
        GeneratorError: `source` cannot be used.
        OSError: `target` cannot be written; nothing is left under its name then.
    """
    if not source.is_file():
        raise GeneratorError(f"{source} is no file; give a generator's checkpoint")
    layout, tensors = checkpoint_tensors(source)
    resolution = layout.read(tensors, source.name).resolution  # nothing is written that cannot be used
    with source.open("rb") as file:
        origin = hashlib.file_digest(file, "sha256").hexdigest()
    arrays = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in tensors.items()}
    write_safetensors(target, arrays, {"layout": layout.name, "source_sha256": origin})
    return layout.name, resolution
