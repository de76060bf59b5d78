"""Names of units on a Dask scheduler: what its dashboard shows, and what tells two runs on one scheduler apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from uuid import uuid4


class Keys:
    """Keys such as `invert-<pair>-<hypothesis>-<token>.<n>`, no two of them the same on any scheduler.

    The token is this object's own, so that a run that is resumed, or another one on the same scheduler, never names a
    unit of this one: to Dask the same key is the same result. The number tells apart what is tried twice.

    Example:
        >>> keys = Keys("3f9a2c")
        >>> keys.key(("invert", "my-cat__lion__0a1b2c3d", "L05N10"))
        'invert-my_cat__lion__0a1b2c3d-L05N10-3f9a2c.1'
        >>> keys.key(("warp", "cat__lion__0a1b2c3d"), others=3)
        'warp-cat__lion__0a1b2c3d+3-3f9a2c.2'
    """

    def __init__(self, token: str | None = None) -> None:
        self.token = token or uuid4().hex[:6]
        self._numbers = count(1)

    def key(self, label: Sequence[str], others: int = 0) -> str:
        """A new key.

        Args:
            label: the stage, then what of it; `tasks.stages.base.Stage.label`.
            others: how many further units travel under this key.
        """
        # Dask takes the words before the first one with a digit or sign in it for the group that it colours and
        # summarises. A dash inside a pair's name would begin a new word, and `my` of `my-cat` belong to that group.
        stage, *names = (part.replace("-", "_") for part in label)
        named = "-".join([stage, *names]) + (f"+{others}" if others else "")
        return f"{named}-{self.token}.{next(self._numbers)}"
