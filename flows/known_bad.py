"""Versions of other packages that install and import, and then break: `mgi doctor` names them.

What we require excludes most of them (pyproject.toml), but another package, or an upgrade by hand, can bring them.
A row says what was seen, not what might be; docs/decisions.md, section "Versions", says where.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from packaging.specifiers import SpecifierSet


@dataclass(frozen=True)
class KnownBad:
    """Versions of a package that break something, what they break, and what to install instead."""

    package: str
    versions: str
    """A specifier, as pip reads it."""
    breaks: str
    instead: str
    """A requirement, or several: what follows `pip install`."""

    def hits(self, found: str) -> bool:
        """Whether an installed version is one of them."""
        return SpecifierSet(self.versions).contains(found, prereleases=True)


KNOWN_BAD = (
    KnownBad("fastapi", ">=0.151", "every Prefect flow dies at once (`min_items`)", "'fastapi>=0.139,<0.151'"),
    KnownBad(
        "sqlalchemy",
        ">=2.1",
        "the scheduler of a Prefect server raises, and schedules create no runs",
        "'sqlalchemy>=2.0,<2.1'",
    ),
    KnownBad("scipy", ">=1.18", "pytorch-fid, the reference of FID, calls `sqrtm(disp=False)`", "'scipy<1.18'"),
    KnownBad(
        "torch",
        "==2.13.0+cpu",
        "torchvision does not import with it (`torchvision::nms does not exist`)",
        "--upgrade torch torchvision",
    ),
)


def installed_bad() -> Iterator[tuple[KnownBad, str]]:
    """The rows that the installation hits, each with the version that is installed."""
    for row in KNOWN_BAD:
        try:
            found = version(row.package)
        except PackageNotFoundError:
            continue
        if row.hits(found):
            yield row, found
