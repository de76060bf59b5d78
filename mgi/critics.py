"""Which critic scores the hypotheses of a configuration, found without loading a network.

One fits if it was learnt from the run's generator, and reads what the run stores: the same layer, in the components of
the same samples, at the same size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from mgi import weights
from mgi.config import ConfigError, RunConfig
from mgi.learnt_files import LearntFile, LearntFileError
from mgi.weights.identity import generator_sha256, zoo_name

PREFIX = "critic-"
"""The zoo's name of a generator's critic is this and the generator's name."""


@dataclass(frozen=True)
class CriticFacts:
    """What a critic's file says about itself; all of it is written to the file's metadata.

    `generator` is a name or file, `generator_sha256` its content's; `backbone`, `layer` and `samples` are those of the
    domain's statistics in whose components it reads pictures of `rows` rows; `right` is its share of right answers on
    held-out pairs by kind, `card` whatever else is worth knowing.
    """

    generator: str
    generator_sha256: str
    backbone: str
    layer: str
    samples: int
    rows: int
    width: int
    right: dict[str, float]
    card: dict[str, Any] = field(default_factory=dict)


CRITIC = LearntFile("critic", CriticFacts, "mgi train critic GENERATOR --out FILE")


def critic_name(config: RunConfig) -> str:
    """The zoo's name or the file of the critic that hypotheses are scored by; empty if there is none that fits.

    Raises:
        ConfigError: the rule or the file asks for one, and none fits; one line that says why.
    """
    named, rule = config.selection.critic_file, config.selection.rule
    shipped = f"{PREFIX}{zoo_name(config.generator)}"
    name = named or (shipped if shipped in {entry.name for entry in weights.entries()} else "")
    why = "there is none for this generator" if not name else _misfit(config, name)
    if not why:
        return name
    if named or rule == "critic":
        raise ConfigError(
            f"selection.{'critic_file' if named else 'rule = critic'}: {why}; make one with `mgi train critic "
            f"{config.generator} --out FILE`, or set selection.rule = spatial-fd"
        )
    return ""


def critic_path(config: RunConfig) -> Path | None:
    """The file of `critic_name`; None: there is none."""
    name = critic_name(config)
    return _file(config, name) if name else None


def read_facts(path: Path) -> CriticFacts:
    """What a critic's file says about itself. Raises LearntFileError: it is no critic."""
    stat = path.stat() if path.is_file() else None
    return _facts(path, (stat.st_size, stat.st_mtime_ns) if stat else None)


@lru_cache(maxsize=8)
def _facts(path: Path, stamp: tuple[int, int] | None) -> CriticFacts:
    return CRITIC.read_facts(path)


def _file(config: RunConfig, name: str) -> Path:
    """The file of a critic of the user's own, or of the zoo."""
    return Path(name).expanduser() if config.selection.critic_file else weights.path(name)


def _misfit(config: RunConfig, name: str) -> str:
    """Why a critic cannot score a configuration's hypotheses; empty: it can."""
    chosen = config.selection
    try:
        facts = read_facts(_file(config, name))
    except (LearntFileError, weights.WeightsError) as error:
        return str(error)
    if facts.generator_sha256 != generator_sha256(config.generator):
        return f"it was learnt from {facts.generator}, found generator {config.generator}"
    if chosen.domain != "generator":
        return f"it reads in the components of the generator's samples, found selection.domain = {chosen.domain}"
    expected = (facts.backbone, facts.layer, facts.samples, facts.rows)
    found = (chosen.backbone, chosen.layer, chosen.domain_samples, config.warp.image_size)
    if expected != found:
        names = "selection.backbone, layer, domain_samples and warp.image_size"
        return f"it needs {names} = {', '.join(map(str, expected))}, found {', '.join(map(str, found))}"
    return ""
