"""The generator that is adapted: found by its name, cut to the wanted size, with an image head for that size."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from mgi.generators import Generator, GeneratorError
from mgi.generators.loading import checkpoint_tensors, load_file
from mgi.generators.mobile_stylegan import MobileStyleGAN
from mgi.generators.pggan import PGGAN
from mgi.generators.stylegan2 import StyleGAN2
from mgi.training.adapted.base import require_size
from mgi.training.adapted.mobile import cut, sizes_of_mobile, with_image_head
from mgi.training.adapted.pggan import sizes_of_pggan, start_of_pggan
from mgi.training.adapted.stylegan2 import sizes_of_stylegan2, start_of_stylegan2
from mgi.training.errors import TrainingError
from mgi.weights import install
from mgi.weights.identity import generator_names, generator_sha256


def parent_path(name_or_path: str) -> Path:
    """The file of a parent; fetched if the zoo has it.

    Raises:
        TrainingError: no such name or file.
        mgi.weights.WeightsError: the zoo's weights are missing or corrupt.
    """
    if name_or_path in generator_names():
        return install.path(name_or_path)
    path = Path(os.path.expanduser(name_or_path))  # noqa: PTH111 - Path refuses an unknown ~user
    if not path.is_file():
        names = ", ".join(generator_names())
        raise TrainingError(
            f"--from {name_or_path}: expected a generator of the zoo ({names}) or a file, found neither"
        )
    return path


def start_of(name_or_path: str, resolution: int) -> tuple[dict[str, Tensor], str]:
    """Tensors that a training at `resolution` starts from, and the parent's sha256.

    Raises:
        TrainingError: no such parent, one that cannot be adapted, or one without that size.
        GeneratorError: the file is no checkpoint.
        mgi.weights.WeightsError: the zoo's weights are missing or corrupt.
    """
    with _reported(name_or_path):
        path = parent_path(name_or_path)
        layout, tensors = checkpoint_tensors(path)
        sha256, parent = generator_sha256(name_or_path), layout.read(tensors, path.name)
        if isinstance(parent, MobileStyleGAN):
            return with_image_head(cut(tensors, resolution), parent), sha256
        if isinstance(parent, StyleGAN2):
            return start_of_stylegan2(parent, resolution), sha256
        if isinstance(parent, PGGAN):
            return start_of_pggan(parent, resolution), sha256
        raise ValueError(_other(parent))


def require_fit(name_or_path: str, resolution: int, z_dim: int) -> None:
    """Refuse a parent that cannot be adapted to these sizes, in much less time than it takes to make a start.

    Raises:
        TrainingError, GeneratorError, mgi.weights.WeightsError: as `start_of`, or the parent has other codes.
    """
    with _reported(name_or_path):
        parent = load_file(parent_path(name_or_path))
        if isinstance(parent, MobileStyleGAN):
            require_size(resolution, sizes_of_mobile(parent))
        elif isinstance(parent, StyleGAN2):
            require_size(resolution, sizes_of_stylegan2(parent))
        elif isinstance(parent, PGGAN):
            require_size(resolution, sizes_of_pggan(parent))
        else:
            raise ValueError(_other(parent))
    if parent.z_dim != z_dim:
        raise TrainingError(
            f"--from {name_or_path}: its codes have {parent.z_dim} numbers, expected {z_dim}; use --set "
            f"z_dim={parent.z_dim}"
        )


def code_length(name_or_path: str) -> int:
    """How many numbers a parent's codes have.

    Raises:
        TrainingError, GeneratorError, mgi.weights.WeightsError: as `start_of`.
    """
    return load_file(parent_path(name_or_path)).z_dim


def _other(parent: Generator) -> str:
    """Why a generator of another kind is refused."""
    return f"expected a MobileStyleGAN, StyleGAN2 or PGGAN, found a {type(parent).__name__}"


@contextmanager
def _reported(name_or_path: str) -> Iterator[None]:
    try:
        yield
    except (GeneratorError, TrainingError):
        raise
    except ValueError as error:
        raise TrainingError(f"--from {name_or_path}: {error}") from None
