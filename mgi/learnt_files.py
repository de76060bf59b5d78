"""Files of small networks that were learnt here: tensors in half precision, and facts about where they come from.

Descriptors, critics, encoders and fusions are kept so, each as a `LearntFile`. A file is untrusted: safetensors holds
no code, and its facts are read with limits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open

if TYPE_CHECKING:
    from torch import Tensor

Facts = TypeVar("Facts")
"""A dataclass: what such a file says about itself."""


class LearntFileError(ValueError):
    """A file is no such network, or is damaged; the message is one line and says what to do."""


@dataclass(frozen=True)
class LearntFile(Generic[Facts]):
    """One kind of file: a network's tensors, and its facts as JSON under one key of the metadata.

    Args:
        what: its name in messages, such as "descriptor"; the key is `mgi-` and this.
        facts: the dataclass of its facts.
        command: the command that makes one.
        largest: bytes that such a file may have.
    """

    what: str
    facts: type[Facts]
    command: str
    largest: int = 64 * 2**20

    @property
    def key(self) -> str:
        """The metadata's key."""
        return f"mgi-{self.what}"

    def write(self, path: Path, tensors: Mapping[str, Tensor], facts: Facts) -> None:
        """Write a network in half precision; its file appears whole or not at all."""
        from safetensors.torch import save_file  # PyTorch, which reading facts need not load

        halves = {name: tensor.detach().half().contiguous() for name, tensor in tensors.items()}
        part = path.with_name(f".{path.name}.part")
        said = json.dumps(asdict(facts))  # type: ignore[call-overload]  # Facts is a dataclass
        save_file(halves, part, {self.key: said})  # one key: several would come in any order
        part.chmod(0o644)  # safetensors makes files that only their owner reads
        part.replace(path)

    def read_facts(self, path: Path) -> Facts:
        """What a file says about itself; PyTorch is not loaded.

        Raises:
            LearntFileError: it is something else, or damaged.
        """
        return self._open(path, tensors=False)[1]

    def read(self, path: Path) -> tuple[dict[str, Tensor], Facts]:
        """Tensors in fp32, and facts.

        Raises:
            LearntFileError: it is something else, or damaged.
        """
        return self._open(path, tensors=True)

    @contextmanager
    def building(self, path: Path) -> Iterator[None]:
        """Around the making of a network from a file's tensors.

        Raises:
            LearntFileError: they are another network's.
        """
        try:
            yield
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            reason = (str(error).splitlines() or [""])[0][:160]
            raise LearntFileError(f"{path}: expected the tensors of {self._a} ({reason}); get the file again") from None

    @property
    def _a(self) -> str:
        return f"{'an' if self.what[0] in 'aeiou' else 'a'} {self.what}"

    def _open(self, path: Path, tensors: bool) -> tuple[dict[str, Tensor], Facts]:
        advice = f"make one with `{self.command}`"
        try:
            if path.stat().st_size > self.largest:
                raise LearntFileError(f"{path}: expected {self._a} of at most {self.largest >> 20} MiB; {advice}")
            with safe_open(path, framework="pt" if tensors else "numpy") as file:
                metadata = file.metadata() or {}
                found = {key: file.get_tensor(key).float() for key in file.keys()} if tensors else {}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise LearntFileError(f"{path} is not a readable {self.what} ({error}); {advice}") from None
        if self.key not in metadata:
            raise LearntFileError(f"{path} is not {self._a}, its metadata lacks {self.key}; {advice}")
        try:
            return found, TypeAdapter(self.facts).validate_python(json.loads(metadata[self.key]))
        except (ValueError, RecursionError) as error:
            raise LearntFileError(f"{path}: its description is damaged ({_reason(error)}); {advice}") from None


def _reason(error: Any) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'facts'}: {first['msg']}"
