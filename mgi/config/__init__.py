"""One frozen model that describes a run completely; profiles are complete TOML files of it.

The digest of this model decides whether a run may be resumed, so it holds what changes results and nothing else:
worker counts, progress and folders are arguments of the command, not configuration.
"""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from mgi.config.base import ConfigError, Section
from mgi.config.inversion import METHODS, Inversion, parse_degradation, parse_rungs, planned_steps
from mgi.config.paths import whole_generator, whole_paths
from mgi.config.warp import OEFT_REGULARIZATION, OEFT_TERMS, Align, Oeft, Warp

__all__ = [
    "METHODS",
    "OEFT_REGULARIZATION",
    "OEFT_TERMS",
    "Align",
    "ConfigError",
    "Inversion",
    "Oeft",
    "RunConfig",
    "Selection",
    "Warp",
    "load_config",
    "parse_degradation",
    "parse_rungs",
    "parse_value",
    "planned_steps",
    "profile_names",
    "validation_line",
    "whole_generator",
    "whole_paths",
]


class Selection(Section):
    """Which hypothesis wins (MGI section 3.2, last paragraph)."""

    rule: Literal["spatial-fd", "sifid", "set-fid", "paper"] = "spatial-fd"
    """Definitions and why the papers' literal rule is not the default: docs/selection.md."""
    sifid_reference: Literal["warp", "exemplar"] = "warp"
    fidelity_bound: float = Field(1.5, ge=1.0)
    """A hypothesis whose reconstruction error exceeds the best one's by this factor cannot win."""
    backbone: Literal["vgg16-imagenet", "vgg19-imagenet", "inception-fid"] = "vgg16-imagenet"
    """Feature network of the distances."""
    layer: str = "relu4_3"
    """Its layer; measured by `python -m benchmarks.selection`."""
    domain: str = "generator"
    """What hypotheses are compared with: 'generator' (samples of the generator) or a folder of real images."""
    domain_samples: int = Field(512, ge=16)
    """How many generated samples or images the domain statistics use."""


class RunConfig(Section):
    """Everything that decides the pixels of a run."""

    profile: str = "custom"
    """Name of the profile this configuration came from."""
    task: Literal["translate", "invert"] = "translate"
    """translate: sources by exemplars; invert: each picture as it is (`mgi invert`)."""
    generator: str = "mobile-stylegan-ffhq"
    """Zoo name or path of a generator checkpoint. run.json keeps the path whole and the hash of the file, which may not
    be replaced under a run."""
    upsampling: int = Field(4, ge=1)
    """Factor between the warp and the result; the result has warp.image_size x upsampling rows, or the generator's
    resolution where that is smaller."""
    align: Align = Align()
    warp: Warp = Warp()
    oeft: Oeft = Oeft()
    inversion: Inversion = Inversion()
    selection: Selection = Selection()

    def warp_arrays(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """What the stage warp keeps of a pair beside pictures: {name: (shape, dtype)}."""
        if self.warp.method == "plain":
            return {}
        return {"oeft_loss": ((self.oeft.iterations, len(self.oeft.terms())), "float32")}

    def digest(self) -> str:
        """sha256 of the canonical JSON of this configuration."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def profile_names() -> list[str]:
    """Names of the profiles that ship with the package."""
    folder = resources.files("mgi") / "profiles"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_config(profile: str, overrides: dict[str, Any] | None = None, method: str | None = None) -> RunConfig:
    """The configuration of a shipped profile or of a TOML file, with a method and `section.key` overrides applied.

    Args:
        profile: a name from `profile_names()` or a path that ends in `.toml`.
        method: one of `METHODS`, whose settings replace the profile's; overrides win over both, and
            `inversion.method` among them names the method as this does.
        overrides: flat `{"inversion.steps": 40}`; values may be text, which is read as TOML where it parses.

    Relative paths in a TOML file start at its folder and are absolute in what is returned; those in overrides stay as
    they are: `whole_paths` makes them so, for whoever goes elsewhere with them.

    Raises:
        ConfigError: one line naming the field, what was expected and what was found.
    """
    data, overrides = _read_profile(profile), dict(overrides or {})
    if (named := overrides.pop("inversion.method", None)) is not None:
        method = str(parse_value(str(named)))
    if method is not None:
        from mgi.methods.presets import preset  # not above: methods know the configuration

        chosen = {"degradation": "none", "budget": "profile", **data.get("inversion", {})}
        chosen |= {key.removeprefix("inversion."): value for key, value in overrides.items()}
        preset_values = preset(method, str(chosen["degradation"]), str(chosen["budget"]))
        data.setdefault("inversion", {}).update(preset_values)
    for key, value in overrides.items():
        _assign(data, key, value)
    try:
        return RunConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(validation_line(error)) from None


def _read_profile(profile: str) -> dict[str, Any]:
    if profile.endswith(".toml"):
        path = Path(os.path.expanduser(profile))  # noqa: PTH111 - Path refuses an unknown ~user
        if not path.is_file():
            raise ConfigError(
                f"profile file {profile} does not exist; give a path to a .toml file "
                f"or one of {', '.join(profile_names())}"
            )
        text, name, folder = path.read_text(encoding="utf-8"), path.stem, path.absolute().parent
    elif profile in profile_names():
        text, name = (resources.files("mgi") / "profiles" / f"{profile}.toml").read_text(encoding="utf-8"), profile
        folder = Path.cwd()  # no shipped profile names a path
    else:
        raise ConfigError(
            f"unknown profile {profile!r}; expected one of {', '.join(profile_names())} or a path ending in .toml"
        )
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"profile {profile} is not valid TOML: {error}") from None
    data.setdefault("profile", name)
    whole: dict[str, Any] = whole_paths("", data, folder)
    return whole


def _assign(data: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    target = data
    for section in sections:
        target = target.setdefault(section, {})
        if not isinstance(target, dict):
            raise ConfigError(f"cannot set {key}: {section} is a value, not a section")
    target[last] = parse_value(value) if isinstance(value, str) else value


def parse_value(text: str) -> Any:
    """A value given as text, read as TOML where it parses."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def validation_line(error: ValidationError) -> str:
    """What pydantic refused, in one line."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or "configuration"
    if first["type"] == "extra_forbidden":
        return f"unknown key {field}; see `mgi profiles` or docs/configuration.md for the keys there are"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "value_error":  # our own words, which say what was found
        return f"{field}: {first['msg'].removeprefix('Value error, ')}{more}"
    return f"{field}: {first['msg']}, found {first['input']!r}{more}"
