"""Which extras of the installed mgi are here: `pip install 'mgi[NAME]'` adds one, docs/installation.md lists them."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement


def extras() -> dict[str, list[str]]:
    """{extra: what it lacks here}, by name; an empty list: it is here. Empty if mgi is not installed."""
    try:
        stated = [Requirement(text) for text in requires("mgi") or []]
    except PackageNotFoundError:
        return {}
    conditional = [one for one in stated if one.marker is not None and not one.marker.evaluate({"extra": ""})]
    names = {name for one in conditional for name in _named(one)}
    return {name: sorted(_lacking(name, conditional)) for name in sorted(names)}


def _named(requirement: Requirement) -> Iterable[str]:
    """The extra that a marker such as `extra == "s3"` names."""
    words = str(requirement.marker).replace("'", '"').split('"')
    return (words[position + 1] for position, word in enumerate(words) if word.strip().endswith("extra =="))


def _lacking(name: str, conditional: list[Requirement]) -> set[str]:
    lacking: set[str] = set()
    for one in conditional:
        assert one.marker is not None
        if not one.marker.evaluate({"extra": name}):
            continue
        if one.name == "mgi":  # such as mgi[metrics,s3] in dev
            lacking.update(*(_lacking(inner, conditional) for inner in one.extras))
            continue
        try:
            here = one.specifier.contains(version(one.name), prereleases=True)
        except PackageNotFoundError:
            here = False
        if not here:
            lacking.add(str(one.name))
    return lacking
