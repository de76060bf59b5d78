"""How large a method is: the numbers in all networks that its run loads."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from mgi.generators import GeneratorError
from mgi.own_files import option_files
from mgi.translators.released import tensors_of
from mgi.weights import zoo
from tasks.stages.plan import weight_names
from tasks.stored import stored_config


def million_numbers(header: Mapping[str, Any], run: str) -> float | None:
    """Numbers in the files of a run's networks, in millions; None if one is not here or has another format.

    Args:
        header, run: of the run's store.
    """
    known, total, config = {entry.name: entry for entry in zoo.entries()}, 0, stored_config(header, run)
    for name in option_files(config):
        if (file := Path(name).expanduser()).is_file():
            try:
                total += sum(x.numel() for x in tensors_of(file).values())
            except (GeneratorError, OSError):
                return None
    for name in weight_names(config):
        path = known[name].path if name in known else Path(name).expanduser()
        try:
            with safe_open(path, framework="pt") as file:
                total += sum(prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118
        except (OSError, SafetensorError):
            return None
    return total / 1e6
