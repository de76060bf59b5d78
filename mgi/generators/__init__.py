"""Generators behind one protocol; `load` returns one, whatever the checkpoint's layout."""

from __future__ import annotations

import argparse
import os
import pickle
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mgi.generators import mobile_stylegan
from mgi.generators.base import Generator, GeneratorError, fuse
from mgi.generators.layouts import nvidia
from mgi.generators.layouts import pggan as pggan_layouts
from mgi.generators.layouts import stylegan as stylegan_layouts
from mgi.generators.layouts import stylegan2 as stylegan2_layouts
from mgi.generators.pggan import PGGAN, is_mganprior, read_mganprior
from mgi.generators.pickles import read_pickle

__all__ = ["PGGAN", "Generator", "GeneratorError", "fuse", "load"]


def load(name_or_path: str | Path, device: str | torch.device = "cpu") -> Generator:
    """A frozen generator from a zoo name or a checkpoint file.

    Args:
        name_or_path: a generator of the zoo (`mgi weights list`), or a `.safetensors`, `.pth` or `.pt` file in one
            of `LAYOUTS`.
        device: where it computes.

    Raises:
        GeneratorError: no such name or file, or a file that holds something else.
        mgi.weights.WeightsError: the zoo's weights are missing or corrupt.
    """
    from mgi import weights

    names = [entry.name for entry in weights.entries() if entry.kind == "generator"]
    if str(name_or_path) in names:
        return _load_file(weights.path(str(name_or_path)), device)
    path = Path(os.path.expanduser(name_or_path))  # noqa: PTH111 - Path refuses an unknown ~user
    if not path.is_file():
        what = "is a folder, not a checkpoint" if path.is_dir() else "is neither a generator of the zoo nor a file"
        raise GeneratorError(f"{name_or_path} {what}; use one of {', '.join(names)} or the path of a checkpoint")
    return _load_file(path, device)


class Layout(NamedTuple):
    """A public checkpoint layout: whether a state dict is of it, and its reader."""

    name: str
    matches: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Mapping[str, Tensor], str], Any]


LAYOUTS = tuple(
    Layout(*fields)
    for fields in (
        ("PGGAN of mGANprior", is_mganprior, read_mganprior),
        ("PGGAN of genforce", pggan_layouts.is_genforce, pggan_layouts.read_genforce),
        ("PGGAN of pytorch_GAN_zoo", pggan_layouts.is_ganzoo, pggan_layouts.read_ganzoo),
        ("StyleGAN of genforce", stylegan_layouts.is_genforce, stylegan_layouts.read_genforce),
        ("StyleGAN2 of rosinality", stylegan2_layouts.is_rosinality, stylegan2_layouts.read_rosinality),
        ("StyleGAN2 of stylegan2-ada-pytorch", nvidia.is_stylegan2, nvidia.read_stylegan2),
        ("PGGAN of TensorFlow", nvidia.is_tensorflow_pggan, nvidia.read_tensorflow_pggan),
        ("StyleGAN of TensorFlow", nvidia.is_tensorflow_stylegan, nvidia.read_tensorflow_stylegan),
        ("StyleGAN2 of TensorFlow", nvidia.is_tensorflow_stylegan2, nvidia.read_tensorflow_stylegan2),
        ("MobileStyleGAN", mobile_stylegan.is_mobile_stylegan, mobile_stylegan.read_mobile_stylegan),
        ("StyleGAN3", nvidia.is_stylegan3, nvidia.refuse_stylegan3),
        ("StyleGAN2 of genforce", stylegan2_layouts.is_genforce, stylegan2_layouts.read_genforce),
    )
)

NESTED = ("generator_smooth", "avgG", "g_ema", "state_dict", "generator", "netG")
"""Keys under which training code files a generator's state dict; running averages come first."""


def checkpoint_tensors(path: Path) -> tuple[Layout, dict[str, Tensor]]:
    """(layout, the generator's own tensors under their public names) of a checkpoint file.

    Raises:
        GeneratorError: it cannot be read, or its layout is none of `LAYOUTS`.
    """
    state = nvidia.tensors_of(read_pickle(path), path.name) if _is_pickle(path) else _unnested(_read(path))
    tensors = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    for layout in LAYOUTS:
        if layout.matches(tensors):
            return layout, tensors
    known = ", ".join(layout.name for layout in LAYOUTS if layout.name != "StyleGAN3")
    found = ", ".join(list(state)[:3]) or "nothing"
    raise GeneratorError(f"{path.name}: unknown checkpoint layout; expected one of {known}; found {found}")


def _is_pickle(path: Path) -> bool:
    """Whether NVIDIA's reader is the right one; a download has its name before ".part"."""
    return path.name.removesuffix(".part").endswith(".pkl")


def _load_file(path: Path, device: str | torch.device) -> Any:
    layout, tensors = checkpoint_tensors(path)
    return layout.read(tensors, path.name).to(device)


def _unnested(state: dict[str, Any]) -> dict[str, Any]:
    # pSp and e4e file a StyleGAN2 beside an encoder, and the mean latent beside both, as rosinality does.
    beside = {key: state[key] for key in ("latent_avg",) if isinstance(state.get(key), Tensor)}
    decoder = {key.removeprefix("decoder."): value for key, value in state.items() if key.startswith("decoder.")}
    if decoder:
        return {**beside, **decoder}
    for key in NESTED:
        if isinstance(state.get(key), dict) and state[key]:
            return _unnested({**beside, **{str(name): value for name, value in state[key].items()}})
    return state


def _refuse_compression(path: Path) -> None:
    """PyTorch never compresses what it saves: a compressed archive can only be meant to fill the memory."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise zipfile.BadZipFile("a compressed archive, which PyTorch never writes")


def _read(path: Path) -> dict[str, Any]:
    """The state dict of a file; weights only, so that opening a stranger's checkpoint runs none of its code."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        _refuse_compression(path)
        with warnings.catch_warnings():
            # Foreign pickles make torch warn before it refuses them; the one-line error below says it better.
            warnings.filterwarnings("ignore", message="Detected pickle protocol", category=UserWarning)
            # Training snapshots carry their command line, which is names and values.
            with torch.serialization.safe_globals([argparse.Namespace]):
                state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise GeneratorError(
            f"{path} is damaged or not a plain PyTorch state dict, and reading more than tensors from it could run its "
            "code; export the generator's state dict and use that"
        ) from None
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, SafetensorError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise GeneratorError(f"{path} cannot be read as a checkpoint ({reason}); get the file again") from None
    if not isinstance(state, dict):
        raise GeneratorError(f"{path} holds a {type(state).__name__}, expected a state dict of tensors")
    return {str(key): value for key, value in state.items()}
