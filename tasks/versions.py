"""Versions of what computes and keeps results; apart from the rest, because `mgi doctor` asks before it loads them."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("mgi", "torch", "torchvision", "numpy", "pillow", "zarr", "dask", "prefect", "pandas")
"""Versions that are recorded with a run."""


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that compute or keep results."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found
