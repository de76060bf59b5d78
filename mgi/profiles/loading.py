"""Reading profiles: complete TOML files of the configuration, with a method and single keys laid over them."""

from __future__ import annotations

import os
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mgi.config import INVERSION, ConfigError, RunConfig, validation_line
from mgi.near import near
from mgi.profiles.paths import whole_paths
from mgi.translators.registry import preset


def profile_names() -> list[str]:
    """Names of the profiles that ship with the package."""
    folder = resources.files("mgi.profiles")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_config(profile: str, overrides: dict[str, Any] | None = None, method: str | None = None) -> RunConfig:
    """The configuration of a shipped profile or of a TOML file, with a method and `section.key` overrides applied.

    Args:
        profile: a name from `profile_names()` or a path that ends in `.toml`.
        method: one of `mgi methods`. Those of the inversion family replace the profile's settings; overrides win over
            both, and `inversion.method` among them names the method as this does.
        overrides: flat `{"inversion.steps": 40}`; values may be text, which is read as TOML if it parses.

    Relative paths in a TOML file start at its folder and are returned as absolute paths. Those in overrides stay as
    they are; `whole_paths` makes them absolute for code that runs in other folders.

    Raises:
        ConfigError: one line naming the field, what was expected and what was found.
    """
    data, overrides = _read_profile(profile), dict(overrides or {})
    if (named := overrides.pop("inversion.method", None)) is not None:
        method = str(parse_value(str(named)))
    if not isinstance(data.get("inversion", {}), dict):
        raise ConfigError(f"profile {profile}: inversion is a value, not a section")
    if method is not None:
        chosen = {"degradation": "none", "budget": "profile", **data.get("inversion", {})}
        chosen |= {key.removeprefix("inversion."): value for key, value in overrides.items()}
        keys = preset(method, str(chosen["degradation"]), str(chosen["budget"]))
        data.setdefault("inversion", {}).update(keys)
        data["translator"] = INVERSION if keys else method
    for key, value in overrides.items():
        _assign(data, key, value)
    try:
        return RunConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(validation_line(error, RunConfig)) from None


def _read_profile(profile: str) -> dict[str, Any]:
    if profile.endswith(".toml"):
        path = Path(os.path.expanduser(profile))  # noqa: PTH111 - Path refuses an unknown ~user
        if not path.is_file():
            raise ConfigError(
                f"profile file {profile} does not exist; give a path to a .toml file "
                f"or one of {', '.join(profile_names())}"
            )
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"profile file {profile} cannot be read as UTF-8 text: {error}") from None
        name, folder = path.stem, path.absolute().parent
    elif profile in profile_names():
        text, name = (resources.files("mgi.profiles") / f"{profile}.toml").read_text(encoding="utf-8"), profile
        folder = Path.cwd()  # no shipped profile names a path
    else:
        names = profile_names()
        meant, known = near(profile, names), ", ".join(names)
        raise ConfigError(f"unknown profile {profile!r}{meant}; expected one of {known} or a path ending in .toml")
    try:
        data = tomllib.loads(text)
        data.setdefault("profile", name)
        whole: dict[str, Any] = whole_paths("", data, folder)
    except RecursionError:
        raise ConfigError(f"profile {profile} is not usable: it is nested too deeply") from None
    except ConfigError:
        raise
    except ValueError as error:  # also a number of thousands of digits, which is no TOMLDecodeError
        raise ConfigError(f"profile {profile} is not valid TOML: {error}") from None
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
    """A value given as text, read as TOML if it parses."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):  # the latter: nested too deeply; what expects no text will refuse it
        return text
