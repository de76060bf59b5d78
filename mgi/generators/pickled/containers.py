"""Sets, dictionaries and bytes that Python 3.7 pickles by name; each builder checks its arguments before it builds.

Pickle protocols below 4 have no opcode for sets, and below 3 none for bytes: they name `builtins.set` and
`_codecs.encode` and call them. A pickle can also set attributes of what it named, so nothing here can be changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mgi.generators.pickled.budget import spend
from mgi.generators.pickled.refused import Refused

ITEM = 100
"""Bytes that an entry of a set or a dictionary takes."""


class Builder:
    """A function that a pickle may call, and do nothing else with."""

    __slots__ = ("_build",)

    def __init__(self, build: Callable[..., Any]) -> None:
        self._build = build

    def __call__(self, *arguments: Any) -> Any:
        """What the pickle asks for; raises Refused if weights do not need such arguments."""
        return self._build(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise Refused("tries to change what reads it")


class Marker:
    """A name that a pickle may mention, as `torch.float32` or the `list` of a defaultdict, but not call."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *_: Any) -> Any:
        """Refuse the call."""
        raise Refused(f"calls {self.name}, which reading weights does not need; nothing was run")

    def __setstate__(self, state: Any) -> None:
        raise Refused("tries to change what reads it")


class Dict(dict[Any, Any]):
    """Any kind of dictionary: only its items. Anything else, such as the versions of a state dict, is dropped."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        """Attributes of a dictionary are not numbers."""


def ordered_dict(pairs: Any = ()) -> Dict:
    """`collections.OrderedDict`."""
    if not isinstance(pairs, list | tuple | Mapping):
        raise Refused("builds a dictionary from something else than pairs")
    spend(ITEM * len(pairs))
    return Dict(pairs)


def default_dict(factory: Any = None) -> Dict:
    """`collections.defaultdict`; its factory is never called."""
    if not (factory is None or isinstance(factory, Marker | Builder)):
        raise Refused("builds a defaultdict with something else than a type")
    return Dict()


def set_of(items: Any = ()) -> set[Any]:
    """`set`."""
    if not isinstance(items, list | tuple):
        raise Refused("builds a set from something else than a list")
    spend(ITEM * len(items))
    try:
        return set(items)
    except TypeError:
        raise Refused("holds a set of things that no set can hold") from None


def frozenset_of(items: Any = ()) -> frozenset[Any]:
    """`frozenset`."""
    return frozenset(set_of(items))


def empty_bytes(*arguments: Any) -> bytes:
    """`bytes()`, which is how protocol 2 writes empty bytes; `bytes(10**12)` would fill the memory."""
    if arguments:
        raise Refused("builds bytes from something else than nothing")
    return b""


def encoded(text: Any, encoding: Any = "latin1") -> bytes:
    """`_codecs.encode(text, "latin1")`, which is how protocol 2 writes bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise Refused("encodes something else than bytes")
    spend(len(text))
    return text.encode("latin1")


def byte_array(data: Any = b"", encoding: Any = "latin1") -> bytes:
    """`bytearray` of bytes, or of text as protocol 2 writes them; `bytearray(10**12)` would fill the memory."""
    return data if isinstance(data, bytes) else encoded(data, encoding)


def complex_of(real: Any = 0.0, imaginary: Any = 0.0) -> complex:
    """`complex` of two numbers."""
    if not isinstance(real, int | float) or not isinstance(imaginary, int | float):
        raise Refused("builds a complex number from something else than numbers")
    return complex(real, imaginary)


def size_of(lengths: Any = ()) -> tuple[Any, ...]:
    """`torch.Size`."""
    if not isinstance(lengths, list | tuple):
        raise Refused("builds a torch.Size from something else than a list")
    spend(ITEM * len(lengths))
    return tuple(lengths)


def device_of(*_: Any) -> Marker:
    """`torch.device`: everything is read to the CPU."""
    return Marker("torch.device")
