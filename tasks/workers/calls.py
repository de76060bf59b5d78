"""What happens on a worker: calls that travelled together, one at a time in each process."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Any

from tasks.workers.agreement import Packages, refuse_other_packages

GROUP_SECONDS = 0.25
"""Calls shorter than this travel together, so the round trip (about 10 ms) is paid once for all of them."""
GROUP_CALLS = 32
"""At most this many calls travel together."""

ONE_AT_A_TIME = Lock()
"""Held by whatever computes in this process. A worker that was started with a thread per core would otherwise run as
many units at once as it has cores, each with working memory of its own, on one GPU if there is one."""


def call_all(
    function: Callable[..., Any], calls: list[tuple[Any, ...]], expected: Packages = ()
) -> tuple[list[Any], float]:
    """Results of several calls, and the seconds they took together.

    Args:
        function: what to call.
        calls: its arguments.
        expected: the packages that the command computes with; empty: they are not looked at.

    Raises:
        tasks.workers.watch.ClusterError: this worker has other packages.
    """
    refuse_other_packages(expected)
    with ONE_AT_A_TIME:
        start = time.perf_counter()
        results = [function(*args) for args in calls]
        return results, time.perf_counter() - start


def group_size(seconds: float) -> int:
    """How many calls of this length travel together.

    Example:
        >>> group_size(60.0), group_size(0.05), group_size(0.0)
        (1, 5, 32)
    """
    return GROUP_CALLS if seconds * GROUP_CALLS <= GROUP_SECONDS else max(1, round(GROUP_SECONDS / seconds))
