"""Seeds by purpose."""

from __future__ import annotations

import hashlib


def seed_of(*parts: object) -> int:
    """A different seed for every purpose; with seed + step instead, two runs could share some."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")
