"""Which trained encoder and fusion a configuration uses, and loading them."""

from __future__ import annotations

from pathlib import Path

from mgi import weights
from mgi.config import ConfigError, RunConfig
from mgi.encoders.consultation import Consultation
from mgi.encoders.files import TrainedEncoder, read_encoder, read_facts
from mgi.encoders.fusion import read_fusion, read_fusion_facts
from mgi.learnt_files import LearntFileError
from mgi.weights import WeightsMissing
from mgi.weights.identity import content_hashes, generator_sha256, zoo_name

PREFIX, FUSION_PREFIX = "encoder-", "fusion-"
"""How the zoo's names of a generator's encoder and fusion begin; the generator's name follows."""
COMMANDS = {
    "encoder": "mgi train encoder --generator {} --out MODEL",
    "uda-inversion": "mgi train encoder --generator {} --images FOLDER --adapt rain-layers+mask+down2 --out MODEL",
    "hfgi": "mgi train encoder --generator {} --out MODEL",
}
FUSION_COMMAND = "mgi train encoder --generator {} --arch hfgi --out MODEL"


def encoder_name(config: RunConfig, kind: str, named: str, key: str) -> str:
    """The zoo's name or the file of an encoder of the configuration's generator.

    Args:
        config: whose generator it must belong to.
        kind: `encoder` or `uda-inversion`.
        named: what the user named, or nothing.
        key: under which, for messages.

    Raises:
        WeightsMissing: none is named, and none ships.
    """
    if named:
        return str(Path(named).expanduser())
    shipped = shipped_name(PREFIX, config.generator)
    if shipped is not None:
        return shipped
    command = COMMANDS[kind].format(config.generator)
    raise WeightsMissing(
        f"{key}: no encoder ships for {config.generator}; make one with `{command}` and name its encoder.safetensors",
        "none is named",
    )


def shipped_name(prefix: str, generator: str) -> str | None:
    """The zoo's name of a generator's encoder or fusion; None: none ships."""
    name = f"{prefix}{zoo_name(generator)}"
    return name if name in {entry.name for entry in weights.entries()} else None


def load_encoder(config: RunConfig, kind: str, named: str, key: str, device: str) -> TrainedEncoder:
    """The encoder on its device.

    Raises:
        WeightsMissing: there is none.
        ConfigError: it belongs to another generator, or its file is none or damaged.
    """
    name = encoder_name(config, kind, named, key)
    path = Path(name) if named else weights.path(name)
    if not path.is_file():
        raise WeightsMissing(f"{key}: expected a file, found no {path}", "there is no such file")
    try:
        facts = read_facts(path)
        found = generator_sha256(config.generator)
        if facts.generator_sha256 != found:
            raise ConfigError(
                f"{key}: {path.name} belongs to {facts.generator} (sha256 {facts.generator_sha256[:12]}), found "
                f"generator {config.generator} ({found[:12]}); name that one, or train one for this"
            )
        return read_encoder(path, device)
    except LearntFileError as error:
        raise ConfigError(f"{key}: {error}") from None


def fusion_name(config: RunConfig, named: str, key: str) -> str:
    """As `encoder_name`, of a consultation fusion. Raises WeightsMissing: none is named, and none ships."""
    if named:
        return str(Path(named).expanduser())
    shipped = shipped_name(FUSION_PREFIX, config.generator)
    if shipped is not None:
        return shipped
    command = FUSION_COMMAND.format(config.generator)
    raise WeightsMissing(
        f"hfgi: expected {key}, a fusion of `{command}`, or options.checkpoint, a file of the public code; found none",
        "none is named",
    )


def load_fusion(config: RunConfig, named: str, key: str, encoder: str, device: str) -> Consultation:
    """The fusion on its device.

    Args:
        config: whose generator it must belong to.
        named: what the user named, or nothing.
        key: under which, for messages.
        encoder: the encoder's name or file, which it must belong to as well.
        device: where.

    Raises:
        WeightsMissing: there is none.
        ConfigError: it belongs to another generator or encoder, or its file is none or damaged.
    """
    name = fusion_name(config, named, key)
    path = Path(name) if named else weights.path(name)
    if not path.is_file():
        raise WeightsMissing(f"{key}: expected a file, found no {path}", "there is no such file")
    file = Path(encoder) if Path(encoder).is_file() else weights.path(encoder)
    try:
        facts = read_fusion_facts(path)
        pairs = (
            (facts.generator, facts.generator_sha256, config.generator, generator_sha256(config.generator)),
            (facts.encoder, facts.encoder_sha256, file.name, content_hashes([file], file)[0]),
        )
        for wanted, of, has, found in pairs:
            if of != found:
                raise ConfigError(
                    f"{key}: {path.name} belongs to {wanted} (sha256 {of[:12]}), found {has} ({found[:12]}); name that "
                    f"one, or make one for this with `{FUSION_COMMAND.format(config.generator)}`"
                )
        return read_fusion(path, device)[0]
    except LearntFileError as error:
        raise ConfigError(f"{key}: {error}") from None
