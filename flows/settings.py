"""What the user sets once: `MGI_*` environment variables, below the command line and above the profile.

A configuration key is `MGI_SECTION__KEY`, such as `MGI_INVERSION__STEPS=40`. Variables of options are read by
`flows.cli.environment`; those here are the ones that runs need, with their defaults.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from mgi.config import ConfigError
from tasks.workers.patience import PATIENCE

SECTIONS = ("align", "warp", "oeft", "inversion", "selection", "options")
TOP_LEVEL = ("generator", "upsampling")

Workers = int | Literal["auto"]
MOST_WORKERS = 1024
"""Every worker is a process with its own copy of the networks; more than this is a mistake."""


class Settings(BaseSettings):
    """Defaults of the command line, as far as the environment sets them."""

    model_config = SettingsConfigDict(
        env_prefix="MGI_", env_nested_delimiter="__", env_ignore_empty=True, extra="ignore"
    )

    profile: str = "embedded"
    method: str | None = None
    pairing: str = "zip"
    limit: int | None = Field(None, ge=1)
    seed: int = Field(0, ge=0)
    workers: Annotated[int, Field(ge=0, le=MOST_WORKERS)] | Literal["auto"] = "auto"
    scheduler: str | None = None
    patience: int = Field(PATIENCE, ge=1)
    remote_cache: Path | None = None
    """Folder of this machine's copies of remote runs."""
    remote_seconds: float = Field(60, ge=0)
    """Shortest time between two uploads of a remote run."""
    remote_patience: float = Field(60, gt=0)
    """How long a request to the object store is repeated."""
    remote_lease: float = Field(120, gt=0)
    """How long a remote run stays taken after its command was last heard of."""
    prefect: Literal["auto", "always", "never"] = "auto"
    """auto: report to the Prefect server at PREFECT_API_URL, if that is set; always: otherwise to a temporary one;
    never."""

    runs_url: str | None = None
    """FOLDER=URL: where a browser finds what is in a folder of runs, for links at a Prefect server."""

    generator: str | None = None
    upsampling: str | None = None
    align: dict[str, Any] = {}
    warp: dict[str, Any] = {}
    oeft: dict[str, Any] = {}
    inversion: dict[str, Any] = {}
    selection: dict[str, Any] = {}
    options: dict[str, Any] = {}

    def overrides(self) -> dict[str, Any]:
        """The configuration keys that the environment sets, flat: `{"inversion.steps": "40"}`."""
        flat = {name: value for name in TOP_LEVEL if (value := getattr(self, name)) is not None}
        for section in SECTIONS:
            flat |= {f"{section}.{key}": value for key, value in getattr(self, section).items()}
        return flat


def use_prefect(settings: Settings) -> bool:
    """Whether commands run as Prefect flows."""
    if settings.prefect == "auto":
        return bool(os.environ.get("PREFECT_API_URL"))
    return settings.prefect == "always"


def load_settings() -> Settings:
    """Settings from the environment.

    Raises:
        ConfigError: a variable has an impossible value; one line that names it.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "MGI_" + str(first["loc"][0]).upper()
        found = os.environ.get(name, first.get("input"))
        raise ConfigError(f"{name}: {first['msg']}, found {found!r}") from None
    except ValueError as error:  # a whole section whose value is not JSON; pydantic names the section, not the variable
        section = next((name for name in SECTIONS if f'"{name}"' in str(error)), "*")
        raise ConfigError(f"MGI_{section.upper()}: {' '.join(str(error).split())}") from None


def configuration_variables() -> dict[str, str]:
    """The variables that set a configuration key now: `{"MGI_INVERSION__STEPS": "inversion.steps"}`."""
    dotted = {name: name.removeprefix("MGI_").lower().replace("__", ".") for name, value in os.environ.items() if value}
    return {
        name: key
        for name, key in dotted.items()
        if name.startswith("MGI_") and (key in TOP_LEVEL or key.partition(".")[0] in SECTIONS)
    }


def chosen_method(option: str | None, settings: Settings, assignments: dict[str, str]) -> dict[str, str]:
    """The method as an override: from `--set inversion.method`, else `--method`, else the environment; empty: none."""
    named = assignments.get("inversion.method") or option or settings.method or settings.inversion.get("method")
    return {"inversion.method": named} if named else {}


def parse_assignments(assignments: list[str]) -> dict[str, str]:
    """`--set section.key=value` options as a flat mapping; later ones win.

    Example:
        >>> parse_assignments(["inversion.steps=40", "generator=my.pt"])
        {'inversion.steps': '40', 'generator': 'my.pt'}
    """
    flat: dict[str, str] = {}
    for text in assignments:
        key, sep, value = text.partition("=")
        if not (sep and key.strip()):
            raise ConfigError(f"--set {text}: expected section.key=value, such as --set inversion.steps=40")
        flat[key.strip()] = value.strip()
    return flat
