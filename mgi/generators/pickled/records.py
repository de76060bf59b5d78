"""What a pickled network becomes: a plain record of its attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from mgi.generators.pickled.arrays import array_of
from mgi.generators.pickled.budget import spend
from mgi.generators.pickled.containers import ITEM, Builder, Dict, Marker
from mgi.generators.pickled.refused import Refused


class Persistent:
    """A module of NVIDIA's PyTorch code: its class's name and its attributes."""

    def __init__(self, class_name: str, state: dict[str, Any]) -> None:
        self.class_name, self.state = class_name, state

    def modules(self) -> Iterator[tuple[str, Persistent]]:
        """(dotted name, module) of this module ("") and of all below it.

        Raises:
            Refused: a module is in two places, so the walk might never end.
        """
        waiting: list[tuple[str, Persistent]] = [("", self)]
        seen: set[int] = set()
        while waiting:
            name, module = waiting.pop()
            if id(module) in seen:
                raise Refused("holds one module in two places")
            seen.add(id(module))
            yield name, module
            for below, child in mapping(module.state.get("_modules")).items():
                if isinstance(child, Persistent):
                    waiting.append((f"{name}.{below}" if name else below, child))

    def tensors(self) -> dict[str, Tensor]:
        """Parameters and buffers of all modules, under dotted names. Raises Refused: see `modules`."""
        return {
            f"{name}.{key}" if name else key: value
            for name, module in self.modules()
            for kind in ("_parameters", "_buffers")
            for key, value in mapping(module.state.get(kind)).items()
            if isinstance(value, Tensor)
        }


class DataParallel(Persistent):
    """PyTorch's own wrapper around a module, which pickles as an ordinary object."""

    def __new__(cls) -> DataParallel:
        """An empty wrapper, as a pickle asks for it; its state follows."""
        found = super().__new__(cls)
        found.__init__("DataParallel", {})  # type: ignore[misc]  # a pickle calls __new__ alone
        return found

    def __setstate__(self, state: Any) -> None:
        self.state = mapping(state)


class Network:
    """A network of NVIDIA's TensorFlow code: whatever state it was pickled with."""

    state: dict[str, Any]

    def __new__(cls) -> Network:
        """An empty network, as a pickle asks for it; its state follows."""
        found = super().__new__(cls)
        found.state = {}
        return found

    def __setstate__(self, state: Any) -> None:
        self.state = state if isinstance(state, dict) else {}

    def variables(self) -> dict[str, np.ndarray]:
        """Variables of this network and of its components (`synthesis/...`, `mapping/...`).

        Raises:
            Refused: a component is in two places, so the walk might never end; or a number is too large.
        """
        waiting, seen = [("", self)], set[int]()
        found: dict[str, np.ndarray] = {}
        while waiting:
            prefix, network = waiting.pop()
            if id(network) in seen:
                raise Refused("holds one network in two places")
            seen.add(id(network))
            found |= {f"{prefix}{name}": value for name, value in _pairs(network.state.get("variables"))}
            for name, component in mapping(network.state.get("components")).items():
                if isinstance(component, Network):
                    waiting.append((f"{prefix}{name}/", component))
        return found


def persistent(meta: Any) -> Persistent:
    """`torch_utils.persistence._reconstruct_persistent_obj`, which would run the source that `meta` carries."""
    if not isinstance(meta, dict) or not isinstance(meta.get("class_name"), str):
        raise Refused("holds a persistent object without a class")
    return Persistent(meta["class_name"], mapping(meta.get("state")))


def reconstructed(kind: Any, base: Any, state: Any = None) -> Any:
    """`copyreg._reconstructor`, which protocols 0 and 1 use to make objects; only the kinds known here."""
    if kind not in (Dict, Network, DataParallel) or not isinstance(base, Marker | Builder):
        raise Refused("reconstructs an object that is no container")
    made = kind()
    if isinstance(made, Dict) and isinstance(state, Mapping):
        spend(ITEM * len(state))
        made.update(state)
    return made


def mapping(value: Any) -> dict[str, Any]:
    """A dictionary under names; empty if `value` is not one."""
    spend(ITEM * len(value) if isinstance(value, Mapping) else 0)
    return {str(key): item for key, item in value.items()} if isinstance(value, Mapping) else {}


def _pairs(value: Any) -> list[tuple[str, np.ndarray]]:
    found = []
    for item in value if isinstance(value, list | tuple) else ():
        if isinstance(item, tuple | list) and len(item) == 2 and isinstance(item[0], str):
            array = array_of(item[1])
            if array is not None:
                found.append((item[0], array))
            elif isinstance(item[1], int | float):
                found.append((item[0], _number(item[1])))
    return found


def _number(value: float) -> np.ndarray:
    try:
        return np.asarray(float(value), np.float32)
    except OverflowError:
        raise Refused("holds a number too large for a network") from None
