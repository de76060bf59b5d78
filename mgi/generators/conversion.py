"""A generator's tensors, out of whatever file they came in, as safetensors under their public names."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mgi.generators import GeneratorError, checkpoint_tensors, load
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
    with source.open("rb") as file:
        origin = hashlib.file_digest(file, "sha256").hexdigest()
    # The ending tells `load` how to read it, so the unfinished file has it, too.
    part = target.with_name(f".{target.stem}.part.safetensors")
    try:
        arrays = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in tensors.items()}
        write_safetensors(part, arrays, {"layout": layout, "source_sha256": origin})
        resolution = load(part).resolution
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return layout, resolution
