"""A small JSON file that carries the digest of its own text, so that a changed bit in it does not go unnoticed.

The seal is the last entry of the object, `"seal": "<sha256 of the text before it>"`: for any other reader the file is
ordinary JSON. Files of earlier versions have none; their reader says how it tells them from files that lost theirs.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

_SEAL = re.compile(rb',\n "seal": "([0-9a-f]{64})"\n\}\n\Z|,"seal":"([0-9a-f]{64})"\}\n\Z')
_LINE_BYTES = len(b',"seal":"') + 64 + len(b'"}')


class BrokenSeal(ValueError):
    """The text is not what was written; a few words that say why."""


def sealed(content: dict[str, Any]) -> bytes:
    """JSON of `content`, which is not empty, with its seal. Raises ValueError: it is not JSON (NaN is not)."""
    text = json.dumps(content, allow_nan=False, sort_keys=True, indent=1).encode().removesuffix(b"\n}")
    return text + f',\n "seal": "{_digest(text)}"\n}}\n'.encode()


def opened(data: bytes) -> tuple[dict[str, Any], bool]:
    """What `sealed` was given, and whether there was a seal.

    Raises:
        BrokenSeal: it is not JSON of an object, its seal is not that of its text, or the seal is not the last entry.
    """
    found = _SEAL.search(data[-100:])
    if found and _digest(data[: found.start() - min(len(data), 100)]) != (found[1] or found[2]).decode():
        raise BrokenSeal("its text is not the one that was sealed")
    try:
        content = json.loads(data)
    except ValueError:
        raise BrokenSeal("it is not valid JSON") from None
    if not isinstance(content, dict):
        raise BrokenSeal("it is no JSON object")
    if (content.pop("seal", None) is None) == (found is not None):
        raise BrokenSeal("its seal is not at its end")
    return content, found is not None


def sealed_line(content: dict[str, Any]) -> bytes:
    """As `sealed`, on one line without an end of line, for files with many of them."""
    text = json.dumps(content, allow_nan=False, sort_keys=True, separators=(",", ":")).encode().removesuffix(b"}")
    return text + f',"seal":"{_digest(text)}"}}'.encode()


def opened_line(line: bytes) -> dict[str, Any]:
    """What `sealed_line` was given. Raises BrokenSeal: the line is not what was written."""
    text, end = line[:-_LINE_BYTES], line[-_LINE_BYTES:]
    if end != f',"seal":"{_digest(text)}"}}'.encode():
        raise BrokenSeal("its text is not the one that was sealed")
    content: dict[str, Any] = json.loads(text + b"}")
    return content


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
