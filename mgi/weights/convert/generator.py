"""A published generator in any layout that `mgi.generators` reads: its own tensors under their public names."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def convert_generator(checkpoint: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The generator's tensors, and its layout.

    Raises:
        mgi.generators.GeneratorError: the file is of no known layout, or asks for more than reading tensors.
    """
    from mgi.generators import checkpoint_tensors  # which asks the zoo where files lie

    layout, tensors = checkpoint_tensors(checkpoint)
    return {name: tensor.detach().contiguous().numpy() for name, tensor in tensors.items()}, {"layout": layout.name}
