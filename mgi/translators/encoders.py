"""Which trained encoder a configuration uses, and loading it."""

from __future__ import annotations

from pathlib import Path

from mgi import weights
from mgi.config import ConfigError, RunConfig
from mgi.encoders.files import TrainedEncoder, read_encoder, read_facts
from mgi.learnt_files import LearntFileError
from mgi.weights import WeightsMissing
from mgi.weights.identity import generator_sha256, zoo_name

PREFIX = "encoder-"
"""How the zoo's name of a generator's encoder begins; the generator's name follows."""
COMMANDS = {
    "encoder": "mgi train encoder --generator {} --out MODEL",
    "uda-inversion": "mgi train encoder --generator {} --images FOLDER --adapt rain-layers+mask+down2 --out MODEL",
}


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
    shipped = f"{PREFIX}{zoo_name(config.generator)}"
    if shipped in {entry.name for entry in weights.entries()}:
        return shipped
    command = COMMANDS[kind].format(config.generator)
    raise WeightsMissing(
        f"{key}: no encoder ships for {config.generator}; make one with `{command}` and name its encoder.safetensors",
        "none is named",
    )


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
