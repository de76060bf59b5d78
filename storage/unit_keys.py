"""Keys of units: a pair's id if it has one such unit, or the id, a dot and the name of a part. Pair ids hold no dot."""

from __future__ import annotations


def pair_of(key: str) -> str:
    """The pair that a unit belongs to.

    Example:
        >>> pair_of("cat__lion__0a1b2c3d.L04N10"), pair_of("cat__lion__0a1b2c3d")
        ('cat__lion__0a1b2c3d', 'cat__lion__0a1b2c3d')
    """
    return key.partition(".")[0]


def part_of(key: str) -> str:
    """What of its pair a unit is; empty if the pair has only this one.

    Example:
        >>> part_of("cat__lion__0a1b2c3d.L04N10"), part_of("cat__lion__0a1b2c3d")
        ('L04N10', '')
    """
    return key.partition(".")[2]


def key_of(pair_id: str, part: str) -> str:
    """The key of a pair's part, the reverse of both.

    Example:
        >>> key_of("cat__lion__0a1b2c3d", "L04N10"), key_of("cat__lion__0a1b2c3d", "")
        ('cat__lion__0a1b2c3d.L04N10', 'cat__lion__0a1b2c3d')
    """
    return f"{pair_id}.{part}" if part else pair_id
