"""Bytes in words."""

from __future__ import annotations

import math


def size_in_words(count: float) -> str:
    """Bytes in words; what is small is not 0 MiB.

    Example:
        >>> [size_in_words(count) for count in (51_221, 3 * 2**20, 40 * 2**20, 5 * 2**31)]
        ['51 KiB', '3.0 MiB', '40 MiB', '10.0 GiB']
    """
    if count < 2**20:
        return f"{math.ceil(count / 2**10)} KiB"
    if count < 2**30:
        return f"{count / 2**20:.{1 if count < 10 * 2**20 else 0}f} MiB"
    return f"{count / 2**30:.1f} GiB"
