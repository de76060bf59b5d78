"""The suite that the user's options make of a named one, or of results alone."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mgi.config import ConfigError, validation_line
from tasks.suites.suite import REFERENCES, Row, Suite, load_suite


def suite_of(named: str | None, results: Sequence[str], of_runs: bool) -> Suite:
    """The suite to begin with: a named one; else one of the user's results, or of runs.

    Raises:
        ConfigError: there is none of that name, or nothing to evaluate at all.
    """
    if named is not None:
        return load_suite(named)
    if of_runs:
        return Suite(name="runs", methods=(), sets=OWN_SETS, reference="exemplars")
    if not results:
        raise ConfigError("expected a suite, runs, or --results FOLDER; `mgi suites` lists the suites that ship")
    return Suite(name="results", profile="embedded", methods=rows_of(results), sets=OWN_SETS, data=_ZIPPED)


OWN_SETS = ("fid", "kid", "frechet-vgg16", "frechet-lite0", "swd")
_ZIPPED = Suite.model_fields["data"].default.model_copy(update={"pairing": "zip"})


def rows_of(results: Sequence[str]) -> tuple[Row, ...]:
    """A row for every `[NAME=]FOLDER`."""
    rows = []
    for text in results:
        name, sep, folder = text.partition("=")
        if not sep:
            name, folder = Path(text).name.lower().replace(" ", "-"), text
        try:
            rows.append(Row(name=name, results=str(Path(folder).expanduser().absolute())))
        except ValidationError as error:
            raise ConfigError(f"--results {text}: {validation_line(error)}") from None
    return tuple(rows)


def changed(
    suite: Suite,
    pairing: str | None,
    limit: int | None,
    metrics: str | None,
    reference: str | None,
    results: Sequence[str],
    settings: Sequence[str] = (),
) -> Suite:
    """The suite with what the user set on the command line.

    Args:
        settings: `[ROW:]SECTION.KEY=VALUE`; without ROW, which may be a pattern such as `cocosnet*`, for all rows.

    Raises:
        ConfigError: it cannot be used.
    """
    data: dict[str, Any] = {}
    if pairing is not None:
        data["pairing"] = str(Path(pairing).absolute()) if pairing.endswith(".csv") else pairing
    if limit is not None:
        data["limit"] = limit
    updates: dict[str, Any] = {"data": suite.data.model_copy(update=data)}
    if metrics is not None:
        of_pairs, of_sets = split_metrics(metrics)
        updates |= {"metrics": of_pairs, "sets": of_sets}
    if reference is not None:
        updates["reference"] = reference if reference in REFERENCES else str(Path(reference).expanduser().absolute())
    updates["methods"] = (*_with_settings(suite.methods, settings), *rows_of(results))
    try:
        return Suite.model_validate(suite.model_copy(update=updates).model_dump())
    except ValidationError as error:
        raise ConfigError(validation_line(error)) from None


def _with_settings(rows: Sequence[Row], settings: Sequence[str]) -> list[Row]:
    found = list(rows)
    for text in settings:
        place, sep, value = text.partition("=")
        row, colon, key = place.rpartition(":")
        if not sep or not key.strip():
            raise ConfigError(f"--set {text}: expected [ROW:]SECTION.KEY=VALUE, such as adain:options.decoder=FILE")
        hit = [number for number, known in enumerate(found) if not colon or fnmatchcase(known.name, row.strip())]
        if not hit:
            raise ConfigError(
                f"--set {text}: no row is called {row}; expected one of {', '.join(r.name for r in rows)}"
            )
        for number in hit:
            assigned = {**found[number].set, key.strip(): value.strip()}
            found[number] = found[number].model_copy(update={"set": assigned})
    return found


def split_metrics(names: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names with commas between them -> (metrics of pairs, metrics of sets).

    Raises:
        mgi.registry.RegistryError: unknown.
    """
    from mgi.metrics.base import SetMetric
    from mgi.metrics.registry import metric

    pairs: list[str] = []
    sets: list[str] = []
    for name in (part.strip() for part in names.split(",") if part.strip()):
        of_set = name not in ("standard", "none") and isinstance(metric(name), SetMetric)
        (sets if of_set else pairs).append(name)
    return tuple(pairs), tuple(sets)
