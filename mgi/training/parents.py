"""The generator that is adapted: found by its name, cut to the wanted size, with an image head for that size."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from mgi.generators import Generator, GeneratorError
from mgi.generators.loading import checkpoint_tensors, load_file
from mgi.generators.mobile_stylegan import MobileStyleGAN
from mgi.generators.pggan import PGGAN
from mgi.generators.stylegan2 import StyleGAN2
from mgi.near import near
from mgi.training.adapted.base import FITTED_ON, Said, require_size
from mgi.training.adapted.mobile import cut, sizes_of_mobile, with_image_head
from mgi.training.adapted.pggan import sizes_of_pggan, start_of_pggan
from mgi.training.adapted.stylegan2 import sizes_of_stylegan2, start_of_stylegan2
from mgi.training.errors import TrainingError
from mgi.weights import install, zoo
from mgi.weights.identity import generator_names, generator_sha256, zoo_name


@dataclass(frozen=True)
class Kind:
    """How a kind of generator is adapted.

    `sizes`: rows of pictures that can be cut out of a parent. `start`: the parent, the tensors of its file, the wanted
    rows, and `pictures` and `said` of the fit -> the tensors that a training starts from.
    """

    sizes: Callable[[Any], list[int]]
    start: Callable[..., dict[str, Tensor]]


KINDS: dict[type[Generator], Kind] = {
    MobileStyleGAN: Kind(
        sizes_of_mobile, lambda parent, own, rows, **fit: with_image_head(cut(own, rows), parent, **fit)
    ),
    StyleGAN2: Kind(sizes_of_stylegan2, lambda parent, own, rows, **fit: start_of_stylegan2(parent, rows, **fit)),
    PGGAN: Kind(sizes_of_pggan, lambda parent, own, rows, **fit: start_of_pggan(parent, rows, **fit)),
}


def parent_path(name_or_path: str) -> Path:
    """The file of a parent; fetched if the zoo has it.

    Raises:
        TrainingError: no such name or file.
        mgi.weights.WeightsError: the zoo's weights are missing or corrupt.
    """
    names = generator_names()
    if name_or_path in names:
        return install.path(name_or_path)
    path = Path(lasting(name_or_path))
    if not path.is_file():
        what = "a folder" if path.is_dir() else "neither"
        inside = path / "generator.safetensors"
        hint = f"; use {inside}" if inside.is_file() else near(path.name, names)
        raise TrainingError(
            f"--from {name_or_path}: expected a generator of the zoo ({', '.join(names)}) or a file, found {what}{hint}"
        )
    return path


def lasting(name_or_path: str) -> str:
    """What a run remembers its parent by: the zoo's name, or the file's whole path, which holds in any folder."""
    if name_or_path in generator_names():
        return name_or_path
    return os.path.abspath(os.path.expanduser(name_or_path))  # noqa: PTH100, PTH111 - Path refuses an unknown ~user


def start_of(
    name_or_path: str, resolution: int, pictures: int = FITTED_ON, said: Said | None = None
) -> tuple[dict[str, Tensor], str]:
    """Tensors that a training at `resolution` starts from, and the parent's sha256.

    Args:
        name_or_path: the parent.
        resolution: rows of the pictures.
        pictures: how many an image head is fitted to; one gives it its shape, for a run that brings its own.
        said: gets told how many are done.

    Raises:
        TrainingError: no such parent, one that cannot be adapted, or one without that size.
        GeneratorError: the file is no checkpoint.
        mgi.weights.WeightsError: the zoo's weights are missing or corrupt.
    """
    with _reported(name_or_path):
        path = parent_path(name_or_path)
        layout, tensors = checkpoint_tensors(path)
        sha256, parent = generator_sha256(lasting(name_or_path)), layout.read(tensors, path.name)
        return _kind(parent).start(parent, tensors, resolution, pictures=pictures, said=said), sha256


def require_fit(name_or_path: str, resolution: int, z_dim: int) -> None:
    """Refuse a parent that cannot be adapted to these sizes, in much less time than it takes to make a start.

    Raises:
        TrainingError, GeneratorError, mgi.weights.WeightsError: as `start_of`, or the parent has other codes.
    """
    with _reported(name_or_path):
        parent = load_file(parent_path(name_or_path))
        require_size(resolution, _kind(parent).sizes(parent))
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


def licence_of(name_or_path: str) -> str:
    """What is known of a parent's licence: the zoo's word, or that of the file's own card; empty if nobody says."""
    known = zoo_name(lasting(name_or_path))
    if known is not None:
        return zoo.entry(known).licence
    path = parent_path(name_or_path)
    try:
        with safe_open(path, "pt") as file:
            facts = file.metadata() or {}
    except (OSError, SafetensorError):
        return ""  # another format, which has no card
    said = [facts.get("licence", ""), facts.get("parent_licence", "")]
    return "; derived from: ".join(text for text in said if text)


def _kind(parent: Generator) -> Kind:
    for kind, found in KINDS.items():
        if isinstance(parent, kind):
            return found
    names = ", ".join(kind.__name__ for kind in KINDS)
    raise ValueError(f"expected one of {names}, found a {type(parent).__name__}")


@contextmanager
def _reported(name_or_path: str) -> Iterator[None]:
    try:
        yield
    except (GeneratorError, TrainingError):
        raise
    except ValueError as error:
        raise TrainingError(f"--from {name_or_path}: {error}") from None
