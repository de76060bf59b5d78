"""What a suite is: data, methods, metrics and published numbers, read from a TOML file."""

from __future__ import annotations

import os
import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from mgi.config import ConfigError, validation_line
from mgi.config.base import Section
from mgi.near import near

NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
REFERENCES = ("sources", "exemplars")


class Data(Section):
    """Section `data`: the pictures, and how they become pairs."""

    sources: str = ""
    """Folder of the sources; empty: the user says it (`--sources`)."""
    exemplars: str = ""
    """Folder of the exemplars; empty: the user says it (`--exemplars`); inverting needs none."""
    generator: str = ""
    """Instead of folders: samples of this generator, `limit` sources and as many exemplars."""
    pairing: str = "random"
    """zip, product, random, or path of a .csv file."""
    limit: int | None = Field(None, ge=1)
    """At most this many pairs."""
    seed: int = Field(0, ge=0)
    """Of the pairing, of samples and of every start."""
    set: str = ""
    """What the data set is called in tables."""
    split: str = ""
    """Which part of it."""
    licence: str = ""
    """Under which licence."""
    where: str = ""
    """Where to get it, for the message if it is not here."""

    @model_validator(mode="after")
    def _samples(self) -> Data:
        if self.generator and self.limit is None:
            raise ValueError("data.generator needs data.limit, the number of pairs")
        return self


class Row(Section):
    """A `[[methods]]`: one row of the tables."""

    name: str
    """What tables call it."""
    method: str = ""
    """One of `mgi methods`; empty: as `name`."""
    profile: str = ""
    """Profile of this method; empty: the suite's."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Keys of the configuration over profile and the suite's."""
    hypotheses_of: str = ""
    """Instead of a method: every hypothesis of another row by itself, as a row each."""
    warps_of: str = ""
    """Instead of a method: the warps that another row inverts, which are not computed twice."""
    results: str = ""
    """Instead of a method: a folder of finished pictures that another program made."""

    @field_validator("name")
    @classmethod
    def _plain(cls, name: str) -> str:
        if not NAME.fullmatch(name):
            raise ValueError(f"expected lower-case letters, digits, '.', '_' and '-', found {name!r}")
        return name

    @property
    def of_method(self) -> str:
        """One of `mgi methods`."""
        return self.method or self.name


class Published(Section):
    """A `[[published]]`: a number that a paper prints, shown in a column of its own."""

    method: str
    metric: str
    value: float
    source: str
    """Paper and table."""


class Suite(Section):
    """A whole file."""

    name: str
    version: int = Field(1, ge=1)
    """Goes up when the suite's numbers would change."""
    summary: str = ""
    task: Literal["translate", "invert"] = "translate"
    profile: str = "embedded"
    set: dict[str, Any] = Field(default_factory=dict)
    """Keys of the configuration for all methods."""
    data: Data = Data()
    methods: tuple[Row, ...] = ()
    metrics: tuple[str, ...] = ("standard",)
    """Metrics of pairs, by `mgi metrics`."""
    sets: tuple[str, ...] = ()
    """Metrics of whole sets."""
    reference: str = "exemplars"
    """What sets are compared with: exemplars, sources, or a folder."""
    against: str = ""
    """The row that others are compared with, pair by pair; empty: the first one."""
    published: tuple[Published, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Suite:
        names = [row.name for row in self.methods]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"methods: two rows are called {twice[0]}; give one of them another name")
        for row in self.methods:
            if sum(map(bool, (row.method, row.hypotheses_of, row.warps_of, row.results))) > 1:
                raise ValueError(f"methods.{row.name}: expected one of method, hypotheses_of, warps_of and results")
            for key, parent in (("hypotheses_of", row.hypotheses_of), ("warps_of", row.warps_of)):
                if parent and parent not in names[: names.index(row.name)]:
                    raise ValueError(f"methods.{row.name}.{key}: no row before it is called {parent}")
        if self.against and self.against not in names:
            raise ValueError(f"against: no row is called {self.against}; expected one of {', '.join(names)}")
        return self

    @property
    def baseline(self) -> str:
        """The row that others are compared with."""
        return self.against or self.methods[0].name


def shipped() -> list[str]:
    """Names of the suites of this package."""
    return sorted(path.name.removesuffix(".toml") for path in _folder().iterdir() if path.name.endswith(".toml"))


def load_suite(name_or_path: str) -> Suite:
    """A suite of this package by its name, or the user's own by its path.

    Relative folders in a file start at the file's folder.

    Raises:
        ConfigError: there is none, or it cannot be used; one line that names the key.
    """
    own = name_or_path.endswith(".toml")
    path = Path(os.path.expanduser(name_or_path)) if own else _folder() / f"{name_or_path}.toml"  # noqa: PTH111
    if not path.is_file():
        expected = f"one of {', '.join(shipped())}, or a .toml file"
        meant = near(name_or_path, shipped())
        raise ConfigError(f"suite {name_or_path}{meant}: expected {expected}; there is none of that name")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"suite {path}: cannot be read as TOML ({error})") from None
    try:
        return whole(Suite.model_validate(data), path.parent)
    except ValidationError as error:
        raise ConfigError(f"suite {name_or_path}: {validation_line(error)}") from None


def whole(suite: Suite, folder: Path) -> Suite:
    """The suite with whole paths; relative ones start at `folder`."""

    def path(text: str) -> str:
        return str(folder / Path(text).expanduser()) if text else ""

    data = suite.data.model_copy(update={side: path(getattr(suite.data, side)) for side in REFERENCES})
    if data.pairing.endswith(".csv"):
        data = data.model_copy(update={"pairing": path(data.pairing)})
    rows = tuple(row.model_copy(update={"results": path(row.results)}) for row in suite.methods)
    reference = suite.reference if suite.reference in REFERENCES else path(suite.reference)
    return suite.model_copy(update={"data": data, "methods": rows, "reference": reference})


def _folder() -> Path:
    return Path(str(resources.files("suites")))
