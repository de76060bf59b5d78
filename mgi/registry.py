"""A table that this package fills and others may add to: names are looked up, and their objects loaded when needed.

A row is `name -> "module:attribute"`. Installed packages add rows through an entry point group, so somebody else's
method or metric needs no change here. Listing names imports nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from mgi.config import ConfigError
from mgi.near import near

OURS = "mgi"


class RegistryError(ConfigError):
    """A row cannot be found or loaded; the message is one line and says what to do."""


@dataclass(frozen=True)
class Row:
    """A name, where its object is ("module:attribute"), and the package that brought it."""

    name: str
    target: str
    package: str = OURS


class Registry:
    """Rows of one kind.

    Args:
        kind: what messages call a row: "metric", "method".
        group: the entry point group for other packages.
        ours: {name: "module:attribute"} of this package.
    """

    def __init__(self, kind: str, group: str, ours: Mapping[str, str]) -> None:
        self.kind, self.group, self._ours = kind, group, dict(ours)

    @cached_property
    def rows(self) -> dict[str, Row]:
        """{name: row}, ours first, then those of other packages by name; looked up once per process.

        Raises:
            RegistryError: two packages bring the same name.
        """
        found = {name: Row(name, target) for name, target in self._ours.items()}
        for point in sorted(entry_points(group=self.group), key=lambda point: point.name):
            package = _package(point)
            if point.name in found:
                raise RegistryError(
                    f"two {self.kind}s are called {point.name}: one of {found[point.name].package}, one of {package}; "
                    "uninstall one of the packages"
                )
            found[point.name] = Row(point.name, point.value, package)
        return found

    def load(self, name: str) -> Any:
        """The object of a row.

        Raises:
            RegistryError: no such row, or its package cannot be imported.
        """
        row = self.rows.get(name)
        if row is None:
            raise RegistryError(
                f"unknown {self.kind} {name!r}{near(name, self.rows)}; use one of {', '.join(self.rows)}"
            )
        return imported(row.target, f"{self.kind} {name} of {row.package}")


def imported(target: str, what: str) -> Any:
    """The object at "module:attribute".

    Args:
        what: what the message calls it.

    Raises:
        RegistryError: it is not there, or its module raises something.
    """
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except Exception as error:  # somebody else's module can raise anything while it is imported
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise RegistryError(f"{what} cannot be loaded ({reason}); reinstall or uninstall its package") from None


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value.partition(":")[0]
