"""File names as text: a name that is not UTF-8 cannot stand in a table, a page or a terminal as it is."""

from __future__ import annotations

import os
import re

_ESCAPED = re.compile(rb"\\x([89a-f][0-9a-f])")


def shown(name: str) -> str:
    r"""A name with each byte that is not UTF-8 written as `\xff`.

    Example:
        >>> shown(os.fsdecode(b"caf\xe9.png"))
        'caf\\xe9.png'
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def exists_with_other_bytes(path: str) -> bool:
    """Whether `path` is the text that `shown` makes of the name of an existing file that is not UTF-8."""
    raw = os.fsencode(path)
    name = _ESCAPED.sub(lambda byte: bytes.fromhex(byte[1].decode()), raw)
    return name != raw and os.path.lexists(name)
