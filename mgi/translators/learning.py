"""A descriptor that is learnt when its generator is first used (`warp.descriptor_samples`), and kept for later."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from mgi.config import RunConfig
from mgi.features import load_backbone
from mgi.features.descriptor import write_descriptor
from mgi.weights import load_generator
from mgi.weights.identity import generator_sha256
from mgi.weights.learnt import learnt_descriptor

if TYPE_CHECKING:
    from mgi.training.descriptors import DescriptorConfig

READS = "vgg16-imagenet"
"""The network that descriptors read."""

Progress = Callable[[str, int, int, str], None]


def settings_of(samples: int) -> DescriptorConfig:
    """How so many samples are used, in the proportions of a training of 2,000."""
    from mgi.training.descriptors import DescriptorConfig  # runs that only load a descriptor need no training

    return DescriptorConfig(
        samples=samples,
        calibration=max(2, min(64, samples // 8)),
        buffer=max(1, min(400, samples // 4)),
        held_out=max(2, min(48, samples // 8)),
        steps=samples * 4 // 5,
    )


def learn(config: RunConfig, device: str, progress: Progress | None = None) -> Path:
    """The file of the descriptor, made now if it is not there; another process that makes it is waited for.

    Raises:
        mgi.weights.WeightsError, mgi.generators.GeneratorError: the generator cannot be loaded.
        mgi.training.TrainingError: it has no features to learn.
    """
    from mgi.training.descriptors import train_descriptor

    path = learnt_descriptor(config.generator, config.warp.descriptor_samples)
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if not path.is_file():
            generator, backbone = load_generator(config.generator, device), load_backbone(READS, device)
            named = (config.generator, generator_sha256(config.generator))
            head, facts = train_descriptor(
                generator, backbone, named, settings_of(config.warp.descriptor_samples), progress
            )
            write_descriptor(path, head, facts)
    return path
