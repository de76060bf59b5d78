"""Addresses as they may be shown: without users, passwords and signed queries."""

from __future__ import annotations

import re

_END = r"(?=[;,)'\"\]>]*(?:\s|$))"  # punctuation after an address belongs to the sentence
_USER = re.compile(
    r"://[^/\s]+@"
    # A password with a slash in it, which is no port
    r"|://[^\s/@:]*:(?!\d+(?:\W|$))\S*@"
    # without a scheme, as libraries repeat what they could not read
    r"|(?<![^\s'\"(=<,;])[^\s:/@'\"(=<,;]+:(?!//)\S+@(?=[\w\[])"
)
_QUERY = re.compile(rf"(://[^\s?#]*)[?#]\S*?{_END}|\?[^\s=?&/]+=\S*?{_END}")


def shown(text: str) -> str:
    """`text` without the secrets in its addresses: users, passwords, queries.

    Example:
        >>> shown("no connection to https://me:secret@example.invalid/simple?token=1")
        'no connection to https://***@example.invalid/simple?...'
        >>> shown("invalid address 'me:secret@10.0.0.5:8786'")
        "invalid address '***@10.0.0.5:8786'"
    """
    if "@" not in text and "?" not in text and "#" not in text:
        return text
    hidden = _USER.sub(lambda found: "://***@" if found[0].startswith("://") else "***@", text)
    return _QUERY.sub(lambda found: f"{found[1] or ''}?...", hidden)
