"""Where what was learnt from a generator at its first use is kept."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_path

from mgi.weights.identity import generator_sha256


def learnt_folder() -> Path:
    """The folder of learnt descriptors."""
    return user_cache_path("mgi") / "descriptors"


def learnt_descriptor(generator: str, samples: int) -> Path:
    """The file of a generator's descriptor that was, or would be, learnt from so many samples.

    Raises:
        WeightsError: the generator's file cannot be read.
    """
    return learnt_folder() / f"{generator_sha256(generator)[:16]}-{samples}.safetensors"
