"""Generators by the zoo's names, or from the user's own checkpoint."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mgi.near import near
from mgi.weights import install
from mgi.weights.identity import generator_names, require_as_before

if TYPE_CHECKING:
    import torch

    from mgi.generators import Generator
    from mgi.generators.protocols import StyledGenerator


def load_generator(name_or_path: str | Path, device: str | torch.device = "cpu") -> Generator:
    """A frozen generator from a zoo name or a checkpoint file.

    Args:
        name_or_path: a generator of the zoo (`mgi weights list`), or a checkpoint in a layout that
            `mgi.generators.load_file` reads.
        device: where it computes.

    Raises:
        GeneratorError: no such name or file, or a file that holds something else.
        WeightsError: the zoo's weights are missing or corrupt, or the file is damaged since it was last read.
    """
    from mgi.generators import load_file  # imports PyTorch; listing and fetching do not need it

    path = generator_path(name_or_path)
    generator = load_file(path, device)
    if str(name_or_path) not in generator_names():
        require_as_before(path)  # after the reader has refused what is no checkpoint, however large
    return generator


def load_styled(name_or_path: str | Path, device: str | torch.device = "cpu") -> StyledGenerator:
    """As `load_generator`, of a generator with styles: it has W, W+, truncation, noise and `synthesize`.

    Raises:
        GeneratorError: also if it has no styles, as a PGGAN.
    """
    from mgi.generators import GeneratorError, is_styled

    generator = load_generator(name_or_path, device)
    if not is_styled(generator):
        raise GeneratorError(f"{name_or_path} has no styles, so no W; load_generator reads it, and it takes z alone")
    return generator


def generator_path(name_or_path: str | Path) -> Path:
    """The file of a generator of the zoo, fetched if need be, or of the user's own.

    Raises:
        GeneratorError: no such name or file.
        WeightsError: the zoo's weights are missing or corrupt.
    """
    from mgi.generators import GeneratorError

    names = generator_names()
    if str(name_or_path) in names:
        return install.path(str(name_or_path))
    path = Path(os.path.expanduser(name_or_path))  # noqa: PTH111 - Path refuses an unknown ~user
    if not path.is_file():
        what = "is a folder, not a checkpoint" if path.is_dir() else "is neither a generator of the zoo nor a file"
        meant = near(Path(name_or_path).name, names)
        raise GeneratorError(f"{name_or_path} {what}{meant}; use one of {', '.join(names)} or the path of a checkpoint")
    return path
