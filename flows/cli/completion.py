"""What a shell offers after TAB. Only what is read in a moment: nothing here may import PyTorch or pandas.

Where nothing fits, shells offer files, so options that take a name or a file need no more than the names.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import typer


def profiles(incomplete: str) -> list[str]:
    """Profiles that ship."""
    from mgi.profiles import profile_names

    return _fitting(profile_names(), incomplete)


def methods(incomplete: str) -> list[str]:
    """What `mgi methods` lists."""
    from mgi.translators.registry import REGISTRY

    return _fitting(REGISTRY.rows, incomplete)


def metrics(incomplete: str) -> list[str]:
    """What `mgi metrics` lists, the last of a list with commas."""
    from mgi.metrics.registry import REGISTRY

    return _last_of(["standard", "none", *REGISTRY.rows], incomplete)


def rules(incomplete: str) -> list[str]:
    """Rules that choose among hypotheses."""
    from mgi.config import RULES

    return _fitting(RULES, incomplete)


def pairings(incomplete: str) -> list[str]:
    """How sources meet exemplars, beside CSV files."""
    from storage.folders import PAIRINGS

    return _fitting(PAIRINGS, incomplete)


def suites(incomplete: str) -> list[str]:
    """Suites that ship."""
    from tasks.suites.suite import shipped

    return _fitting(shipped(), incomplete)


def rows(ctx: typer.Context, incomplete: str) -> list[str]:
    """Rows of the suite, or the evaluation, that the command line names so far."""
    from mgi.config import ConfigError
    from tasks.suites.header import HEADER, read_header
    from tasks.suites.suite import load_suite

    names: list[str] = []
    for what in [*(ctx.params.get("what") or []), *ctx.args]:  # what an unfinished line says is not parsed yet
        try:
            suite = read_header(what)[0] if (Path(what) / HEADER).is_file() else load_suite(what)
        except (ConfigError, ValueError):
            continue
        names += [row.name for row in suite.methods]
    return _last_of(names, incomplete)


def weights(incomplete: str) -> list[str]:
    """Networks of the zoo."""
    from mgi.weights import entries

    return _fitting([entry.name for entry in entries()], incomplete)


def generators(incomplete: str) -> list[str]:
    """Generators of the zoo."""
    from mgi.weights import entries

    return _fitting([entry.name for entry in entries() if entry.kind == "generator"], incomplete)


def systems(incomplete: str) -> list[str]:
    """Systems that can be trained."""
    from mgi.systems.registry import REGISTRY

    return _fitting(REGISTRY.rows, incomplete)


def conditions(incomplete: str) -> list[str]:
    """Conditions that can be made of pictures."""
    from mgi.systems.conditions import CONDITIONS

    return _fitting(CONDITIONS, incomplete)


def _fitting(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _last_of(names: list[str], incomplete: str) -> list[str]:
    """Names after the last comma, without those that are there."""
    before, comma, last = incomplete.rpartition(",")
    there = before.split(",")
    return [before + comma + name for name in names if name.startswith(last) and name not in there]
