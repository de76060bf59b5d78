"""The descriptor of a configuration: which file it is, whether it belongs to the generator, and loading it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mgi import weights
from mgi.config import ConfigError, RunConfig
from mgi.features import Backbone
from mgi.features.descriptor import Descriptor, read_descriptor, read_facts
from mgi.translators.learning import learn
from mgi.weights.identity import generator_sha256, zoo_name
from mgi.weights.learnt import learnt_descriptor

PREFIX = "descriptor-"
"""The zoo's name of a generator's descriptor is this and the generator's name."""


def descriptor_name(config: RunConfig) -> str:
    """The zoo's name or the file of the descriptor, which may have to be learnt first (`to_learn`).

    Empty if the warp uses none, as `auto` does where none ships.

    Raises:
        ConfigError: it should use one, none is named, and none ships for this generator.
    """
    if config.warp.descriptor == "vgg":
        return ""
    if config.warp.descriptor_file:
        return config.warp.descriptor_file
    name = zoo_name(config.generator)
    shipped = f"{PREFIX}{name}"
    if shipped in {entry.name for entry in weights.entries()}:
        return shipped
    if config.warp.descriptor_samples:
        return str(_learnt(config))
    if config.warp.descriptor == "auto":
        return ""
    raise ConfigError(
        f"warp.descriptor = {config.warp.descriptor}: none ships for {config.generator}; make one with `mgi train "
        f"descriptor {config.generator} --out FILE` and set warp.descriptor_file, let it be learnt now "
        "(warp.descriptor_samples = 1000), or set warp.descriptor = vgg"
    )


def to_learn(config: RunConfig) -> bool:
    """Whether the descriptor has to be learnt before anything is matched."""
    if config.task != "translate" or not config.warp.descriptor_samples:
        return False
    name = descriptor_name(config)
    return name == str(_learnt(config)) and not Path(name).is_file()


def load_descriptor(config: RunConfig, networks: Callable[[str], Backbone], device: str) -> Descriptor | None:
    """The descriptor on its device; None if the warp uses none.

    Args:
        networks: the feature network of a name, loaded once.

    Raises:
        ConfigError: it was learnt from another generator.
        mgi.features.FeatureError: its file cannot be used.
        mgi.weights.WeightsError: it is missing or corrupt.
    """
    name = descriptor_name(config)
    if not name:
        return None
    if config.warp.descriptor_samples and name == str(_learnt(config)):
        path = learn(config, device)
    else:
        path = Path(name).expanduser() if config.warp.descriptor_file else weights.path(name)
    facts = read_facts(path)
    found = generator_sha256(config.generator)
    if facts.generator_sha256 != found:
        raise ConfigError(
            f"warp.descriptor_file: {path.name} was learnt from {facts.generator} (sha256 "
            f"{facts.generator_sha256[:12]}), found generator {config.generator} ({found[:12]}); make one for it with "
            "`mgi train descriptor`"
        )
    return read_descriptor(path, networks(facts.backbone)).to(device)


def _learnt(config: RunConfig) -> Path:
    return learnt_descriptor(config.generator, config.warp.descriptor_samples)
