"""How many bytes a pickle may become: a few bytes that it names a thousand times would fill the memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from mgi.generators.pickled.refused import Refused

MAX_SHARING = 4
"""Bytes of a generator's tensors for each byte of its file. Tensors may share numbers, but a file in which a few
numbers stand for millions is meant to fill the memory."""

FREE = 2**24
"""Bytes that any file may become: small files may well be mostly shared."""

_left: ContextVar[int | None] = ContextVar("left", default=None)


@contextmanager
def budget(file_bytes: int) -> Iterator[None]:
    """Let what is built inside take as much as a file of this size may stand for."""
    token = _left.set(MAX_SHARING * file_bytes + FREE)
    try:
        yield
    finally:
        _left.reset(token)


def spend(count: int) -> None:
    """Count bytes that are about to be built, if a file is being read. Raises Refused if there would be too many."""
    left = _left.get()
    if left is None:
        return
    _left.set(left - count)
    if left < count:
        raise Refused("stands for far more bytes than it has, which no network does; get the file again")
