"""Learning a descriptor from a generator's samples, and writing it with its card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mgi.config import ConfigError
from storage.atomic import write_text
from tasks.train_settings import check_out, check_settings

SHARES = ("mixed", "colours", "grey", "geometry")
MAY_BE_ZERO = ("steps", "seed", "matching", "contrast", *SHARES)


def train_descriptor(
    generator: str,
    out: Path,
    settings: dict[str, Any],
    threads: int | None = None,
    progress: Callable[[str, int, int, str], None] | None = None,
) -> dict[str, float]:
    """Learn a descriptor and write it to `out`, its card beside it.

    Returns:
        What share of the held-out variance it explains, and its number of samples.

    Raises:
        ConfigError: a setting that does not exist, or a file that cannot be written.
        mgi.weights.WeightsError, mgi.generators.GeneratorError: the generator cannot be loaded.
        mgi.training.TrainingError: it has no features to learn.
    """
    import torch

    from mgi.devices import best_device
    from mgi.features import load_backbone
    from mgi.features.descriptor import write_descriptor
    from mgi.training.descriptor_card import descriptor_card
    from mgi.training.descriptors import DescriptorConfig
    from mgi.training.descriptors import train_descriptor as learn
    from mgi.translators.learning import READS
    from mgi.weights import load_generator
    from mgi.weights.identity import generator_sha256

    check_out(out)
    check_settings(settings, vars(DescriptorConfig()), MAY_BE_ZERO)
    for key in SHARES:
        if settings.get(key, 0) > 1:
            raise ConfigError(f"{key}: expected a share from 0 to 1, found {settings[key]}")
    config = DescriptorConfig(**settings)
    least = config.calibration + (config.buffer if config.steps else 1)
    if config.samples < least:
        raise ConfigError(f"samples: expected at least calibration + buffer = {least}, found {config.samples}")
    if threads is not None:
        torch.set_num_threads(threads)
    device = best_device()
    network, backbone = load_generator(generator, device), load_backbone(READS, device)
    named = (generator, generator_sha256(generator))
    head, facts = learn(network, backbone, named, config, progress)
    write_descriptor(out, head, facts)
    write_text(out.with_suffix(".md"), descriptor_card(facts))
    return {"explained": facts.explained, "samples": facts.card["samples"]}
