"""What a generator's own samples tell about it, measured once and shipped: latent prior, coarse head and domain
statistics. `python -m mgi.statistics.build NAME` makes the files of this folder."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def shipped(name: str, suffix: str = "latents.safetensors") -> Path | None:
    """The statistics file of a zoo generator, or None where none ships."""
    path = Path(str(resources.files("mgi") / "statistics" / f"{name}.{suffix}"))
    return path if path.is_file() else None


def shipped_files(name: str) -> list[Path]:
    """All statistics files of a zoo generator, by name."""
    return sorted(Path(str(resources.files("mgi") / "statistics")).glob(f"{name}.*"))
