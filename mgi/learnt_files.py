"""Files of small networks that were learnt here: tensors in half precision, and what the file says about itself.

Descriptors and critics are kept so. A file is untrusted: safetensors holds no code, and its description is read with
limits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

if TYPE_CHECKING:
    from torch import Tensor

_LARGEST = 64 * 2**20


class LearntFileError(ValueError):
    """A file is no such network, or is damaged; the message is one line and says what to do."""


def write_learnt(path: Path, kind: str, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
    """Write a network in half precision; its file appears whole or not at all.

    Args:
        path: the file.
        kind: the key of its description, such as `mgi-descriptor`.
        tensors: a state dict.
        values: the description, as JSON can hold it.
    """
    from safetensors.torch import save_file  # PyTorch, which reading a description need not load

    halves = {name: tensor.detach().half().contiguous() for name, tensor in tensors.items()}
    part = path.with_name(f".{path.name}.part")
    save_file(halves, part, {kind: json.dumps(values)})  # one key: several would come in any order
    part.replace(path)


def read_learnt(
    path: Path, kind: str, what: str, command: str, tensors: bool = True, largest: int = _LARGEST
) -> tuple[dict[str, Tensor], Any]:
    """What `write_learnt` wrote: (tensors in fp32, description).

    Args:
        path: the file.
        kind: the key of its description.
        what: its name in messages, such as "descriptor".
        command: the command that makes one.
        tensors: whether tensors are wanted.
        largest: bytes that such a file may have.

    Raises:
        LearntFileError: it is something else, or damaged.
    """
    advice = f"make one with `{command}`"
    try:
        if path.stat().st_size > largest:
            raise LearntFileError(f"{path}: expected a {what} of at most {largest >> 20} MiB; {advice}")
        with safe_open(path, framework="pt" if tensors else "numpy") as file:
            metadata = file.metadata() or {}
            found = {key: file.get_tensor(key).float() for key in file.keys()} if tensors else {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise LearntFileError(f"{path} is not a readable {what} ({error}); {advice}") from None
    if kind not in metadata:
        raise LearntFileError(f"{path} is not a {what}, its metadata lacks {kind}; {advice}")
    try:
        return found, json.loads(metadata[kind])
    except (ValueError, RecursionError) as error:
        raise LearntFileError(f"{path}: its description is damaged ({error}); {advice}") from None
