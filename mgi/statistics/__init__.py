"""What a generator's own samples tell us about it: latent prior, coarse head and domain statistics.

Measured once and shipped; `python -m mgi.statistics.build NAME` makes the files of this folder.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from mgi.weights.identity import zoo_name

SHIPPED_SIZE = 256
"""Shipped domain statistics are for images with this many rows, or with a smaller generator's own."""


def shipped(name_or_path: str, suffix: str = "latents.safetensors") -> Path | None:
    """The statistics file of a zoo generator (by name, or a copy of it under any path), or None if none ships."""
    return next((path for path in shipped_files(name_or_path) if path.name.endswith(f".{suffix}")), None)


def shipped_files(name_or_path: str) -> list[Path]:
    """All statistics files of a zoo generator, by name; the user's own checkpoints have none."""
    name, folder = zoo_name(name_or_path), Path(str(resources.files("mgi") / "statistics"))
    return sorted(path for path in folder.iterdir() if name is not None and path.name.startswith(f"{name}."))


def shipped_detail(name_or_path: str) -> Path | None:
    """The detail of a zoo generator's samples (`mgi.metrics.detail`); apart, because it decides no pixels."""
    path = Path(str(resources.files("mgi") / "statistics" / "detail" / f"{zoo_name(name_or_path)}.json"))
    return path if path.is_file() else None
