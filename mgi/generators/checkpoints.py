"""Reading a checkpoint by what the file is, whatever its name: safetensors, PyTorch's two formats, or a pickle.

No code of a file is run: PyTorch's own files are read with `weights_only`, pickles by `mgi.generators.pickles`.
"""

from __future__ import annotations

import argparse
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mgi.generators.base import GeneratorError
from mgi.generators.pickled.budget import MAX_SHARING
from mgi.generators.pickled.opcodes import inspect
from mgi.generators.pickled.refused import Refused
from mgi.generators.pickled.tensors import is_legacy
from mgi.generators.pickles import read_pickle
from mgi.generators.rounded import restored

MAX_FILE = 2**33
"""Bytes of a checkpoint: three times the largest published one, and about what a small machine can hold."""

_LEGACY_PICKLES = 5  # of PyTorch's old format: its magic number, its version, the machine, the tensors, their numbers
_MAX_HEADER = 100_000_000  # of safetensors, in bytes


def read_content(path: Path) -> Any:
    """Whatever a checkpoint holds: usually a dict of tensors or of further dicts; pickles also `Persistent`, `Network`.

    Raises:
        GeneratorError: it is damaged, or asks for more than reading tensors.
    """
    if (size := path.stat().st_size) > MAX_FILE:
        raise GeneratorError(f"{path} has {size} bytes, more than any checkpoint of a generator; get the file again")
    kind = _kind(path)
    if kind == "pickle":
        return read_pickle(path)
    content = _read_safetensors(path) if kind == "safetensors" else _read_torch(path)
    if not isinstance(content, dict):
        raise GeneratorError(f"{path} holds a {type(content).__name__}, expected a state dict of tensors")
    return content


def plain_tensors(state: dict[str, Any], path: Path) -> dict[str, Tensor]:
    """The tensors among a state dict's values.

    Raises:
        GeneratorError: one is not made of plain numbers in memory, or together they are much larger than their file.
    """
    found = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    for key, value in found.items():
        if (kind := _special(value)) is not None:
            raise GeneratorError(f"{path.name}: {label(key)} is a {kind} tensor, expected plain numbers")
    there, wanted = path.stat().st_size, sum(value.numel() * value.element_size() for value in found.values())
    if wanted > MAX_SHARING * there:
        raise GeneratorError(f"{path.name} poses as {wanted} bytes of tensors in a file of {there}; get the file again")
    return found


def label(key: str) -> str:
    """A tensor's name as a message may show it: one short line, whatever the file calls its tensors."""
    return " ".join(key.split())[:80]


def _special(tensor: Tensor) -> str | None:
    if tensor.layout != torch.strided:
        return "sparse"
    if tensor.is_nested:
        return "nested"
    if tensor.is_quantized:
        return "quantized"
    if tensor.is_complex():
        return "complex"
    if tensor.device.type != "cpu":
        return tensor.device.type
    repeated = any(length > 1 and not step for length, step in zip(tensor.shape, tensor.stride(), strict=True))
    return "stride-0" if repeated else None


def _kind(path: Path) -> str:
    """`safetensors`, `torch` or `pickle`; the name decides only if the content does not, as in damaged files."""
    with path.open("rb") as file:
        head = file.read(32)
    if head[:2] == b"PK" or is_legacy(head):
        return "torch"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _MAX_HEADER:
        return "safetensors"
    if head[:1] == b"\x80" or head[:1] in (b"(", b"}", b"]", b"c"):  # protocols 2 to 5, or 0 and 1
        return "pickle"
    suffix = Path(path.name.removesuffix(".part")).suffix  # a download adds ".part" to its name
    return {".safetensors": "safetensors", ".pkl": "pickle"}.get(suffix, "torch")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        tensors = load_file(path)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise _unreadable(path, error) from None
    return restored(tensors, path.name)


def _read_torch(path: Path) -> Any:
    """What PyTorch saved; weights only, so opening a stranger's checkpoint runs none of its code."""
    try:
        _refuse_compression(path)
        _inspect_legacy(path)
        with warnings.catch_warnings():
            # PyTorch warns about foreign pickles and sparse tensors; our one-line errors refuse both and say it better.
            warnings.simplefilter("ignore", UserWarning)
            # Training snapshots carry their command line, which is names and values.
            # An open file, because PyTorch would judge a path by its suffix.
            with torch.serialization.safe_globals([argparse.Namespace]), path.open("rb") as file:
                return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise GeneratorError(
            f"{path} is damaged or not a plain PyTorch state dict, and reading more than tensors from it could run its "
            "code; export the generator's state dict and use that"
        ) from None
    except Refused as error:
        raise Refused(f"{path} {error}") from None
    except Exception as error:  # PyTorch reads opcode by opcode, and a damaged file can raise anything
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> GeneratorError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return GeneratorError(f"{path} cannot be read as a checkpoint ({reason}); get the file again")


def _refuse_compression(path: Path) -> None:
    """PyTorch never compresses what it saves: a compressed archive can only be an attempt to fill the memory."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise zipfile.BadZipFile("a compressed archive, which PyTorch never writes")
        if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
            raise zipfile.BadZipFile("an archive whose files share their bytes, which PyTorch never writes")


def _inspect_legacy(path: Path) -> None:
    """PyTorch reads a line of a pickle however long it is; an archive's pickles end where the archive says."""
    with path.open("rb") as file:
        if is_legacy(file.read(32)):
            file.seek(0)
            for _ in range(_LEGACY_PICKLES):
                inspect(file)
