"""The translator of a configuration, loaded once per process and per content of its files."""

from __future__ import annotations

from functools import lru_cache
from typing import cast

from mgi.config import RunConfig
from mgi.devices import best_device
from mgi.own_files import own_hashes
from mgi.translators.base import Translator
from mgi.translators.registry import method


def load_translator(config: RunConfig, device: str = "auto", threads: int | None = None) -> Translator:
    """The translator that a configuration describes.

    Args:
        config: which method, generator, networks and settings.
        device: a torch device, or `auto`: a GPU if there is one.
        threads: CPU threads of PyTorch; None leaves its default.

    Raises:
        mgi.registry.RegistryError: no such method, or its package is not installed.
        mgi.weights.WeightsError: weights are missing or corrupt.
        mgi.generators.GeneratorError: the generator's checkpoint cannot be used.
        mgi.config.ConfigError: settings that do not work with this generator.
    """
    return _load(config, device, threads, tuple(own_hashes(config).items()))


@lru_cache(maxsize=2)
def _load(config: RunConfig, device: str, threads: int | None, content: tuple[tuple[str, str], ...]) -> Translator:
    """`content` is for the cache: a long-lived worker must not take a replaced checkpoint for the one it loaded."""
    from mgi.memory import keep_freed_memory

    keep_freed_memory()
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    chosen = best_device() if device == "auto" else device
    return cast("Translator", method(config.method).load()(config, chosen))
