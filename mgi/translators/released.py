"""Checkpoints that other people released, named by the user in `options`: read as tensors, laid into our networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from torch import Tensor, nn

from mgi.config import ConfigError
from mgi.generators.base import GeneratorError
from mgi.generators.checkpoints import label, plain_tensors, read_content
from mgi.weights import WeightsMissing

M = TypeVar("M", bound=nn.Module)
T = TypeVar("T")


def tensors_of(file: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint: those of its `state_dict`, if it has one, and those beside it.

    Raises:
        mgi.generators.GeneratorError: it cannot be read as tensors.
    """
    content = read_content(file)
    inner = content.get("state_dict") if isinstance(content, Mapping) else None
    return plain_tensors({**content, **inner} if isinstance(inner, Mapping) else content, file)


def read_released(method: str, option: str, path: object, whose: str) -> dict[str, Tensor]:
    """The tensors of the file that `options.OPTION` names, in float32.

    Raises:
        mgi.weights.WeightsMissing: it names none, or there is none.
        ConfigError: it cannot be read as tensors.
    """
    tensors = _read(method, option, path, whose, tensors_of)
    return {key: tensor.float() for key, tensor in tensors.items()}


def read_parts(method: str, option: str, path: object, whose: str) -> dict[str, dict[str, Tensor]]:
    """{network: its tensors in float32} of a file that holds several networks under their names.

    Raises:
        mgi.weights.WeightsMissing, ConfigError: as `read_released`.
    """

    def parts_of(file: Path) -> dict[str, dict[str, Tensor]]:
        content = read_content(file)
        inner = {str(name): part for name, part in content.items() if isinstance(part, Mapping)}
        return {name: plain_tensors(dict(part), file) for name, part in inner.items()}

    parts = _read(method, option, path, whose, parts_of)
    return {name: {str(key): tensor.float() for key, tensor in part.items()} for name, part in parts.items()}


def _read(method: str, option: str, path: object, whose: str, read: Callable[[Path], T]) -> T:
    file = Path(str(path)).expanduser() if path else None
    if file is None or not file.is_file():
        found = f"found no file {path}" if path else "found none"
        raise WeightsMissing(f"{method}: expected options.{option}, a file of {whose}, {found}")
    try:
        return read(file)
    except GeneratorError as error:
        raise ConfigError(f"options.{option}: {error}") from None


def module_of(method: str, option: str, tensors: Mapping[str, Tensor], build: Callable[[], M], device: str) -> M:
    """A network that holds exactly these tensors, frozen.

    Args:
        build: makes it to the shapes of the tensors; may ask for a key that is missing.

    Raises:
        ConfigError: a tensor is missing, unknown or of another shape; one line that names the first one.
    """
    try:
        network = build()
    except (KeyError, IndexError) as error:
        raise ConfigError(f"options.{option}: expected one of {method}, found no {error.args[0]}") from None
    own = network.state_dict()
    for key in sorted(own.keys() | tensors.keys()):
        wanted, found = (list(side[key].shape) if key in side else None for side in (own, tensors))
        if wanted != found:
            said = ["no such tensor" if wanted is None else wanted, "none" if found is None else found]
            raise ConfigError(f"options.{option}: {label(key)}: expected {said[0]}, found {said[1]}")
    network.load_state_dict(dict(tensors))
    return network.to(device).eval().requires_grad_(False)
