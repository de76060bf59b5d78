"""What a user may have meant by a name that is not there."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def near(name: object, known: Iterable[str]) -> str:
    """Words for a message, right after the name; nothing if nothing is near.

    Example:
        >>> "unknown metric 'lpip'" + near("lpip", ["l2", "lpips", "ssim"])
        "unknown metric 'lpip' (did you mean lpips?)"
        >>> near("colour", ["l2", "lpips", "ssim"])
        ''
    """
    found = get_close_matches(str(name), list(known), n=2, cutoff=0.65)
    return f" (did you mean {' or '.join(found)}?)" if found else ""
