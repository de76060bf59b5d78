"""How large a method is: the numbers in all networks that its run loads."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from mgi.weights import zoo
from tasks.stages.plan import weight_names
from tasks.stored import stored_config


def million_numbers(header: Mapping[str, Any], run: str) -> float | None:
    """Numbers in the files of a run's networks, in millions; None if one is not here or has another format.

    Args:
        header, run: of the run's store.
    """
    known, total = {entry.name: entry for entry in zoo.entries()}, 0
    for name in weight_names(stored_config(header, run)):
        path = known[name].path if name in known else Path(name).expanduser()
        try:
            with safe_open(path, framework="pt") as file:
                total += sum(prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118
        except (OSError, SafetensorError):
            return None
    return total / 1e6
