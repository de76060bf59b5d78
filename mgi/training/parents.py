"""The generator that is adapted: found by its name, cut to the wanted size, with an image head for that size."""

from __future__ import annotations

import os
from pathlib import Path

from torch import Tensor

from mgi.generators import GeneratorError
from mgi.generators.loading import checkpoint_tensors
from mgi.generators.mobile_stylegan import MobileStyleGAN
from mgi.training.adapted import cut, with_image_head
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
    tensors, kept = _cut(name_or_path, resolution)
    return with_image_head(kept, MobileStyleGAN(tensors).eval()), generator_sha256(name_or_path)


def require_fit(name_or_path: str, resolution: int, z_dim: int) -> None:
    """Refuse a parent that cannot be adapted to these sizes, in much less time than it takes to make a start.

    Raises:
        TrainingError, GeneratorError, mgi.weights.WeightsError: as `start_of`, or the parent has other codes.
    """
    _, kept = _cut(name_or_path, resolution)
    if (numbers := kept["mapping.0.weight"].shape[1]) != z_dim:
        raise TrainingError(
            f"--from {name_or_path}: its codes have {numbers} numbers, expected {z_dim}; use --set z_dim={numbers}"
        )


def _cut(name_or_path: str, resolution: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """All tensors of a parent, and those of them up to a resolution."""
    path = parent_path(name_or_path)
    layout, tensors = checkpoint_tensors(path)
    if "synthesis.to_image.weight" not in tensors or "synthesis.conv0.affine.weight" not in tensors:
        raise TrainingError(
            f"--from {name_or_path}: expected a MobileStyleGAN, found {layout.name}; only those are adapted"
        )
    try:
        return tensors, cut(tensors, resolution)
    except ValueError as error:
        raise TrainingError(f"--from {name_or_path}: {error}") from None
    except KeyError as error:
        raise GeneratorError(f"{path.name}: tensor {error} is missing; the checkpoint is damaged") from None
