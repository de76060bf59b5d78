"""`run.json`: what a run was asked to do, and whether another request is the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.atomic import write_bytes
from storage.run_changes import grown
from storage.seal import BrokenSeal, opened, sealed

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 5
"""Version of the layout of a run's folder; every change to the layout adds one. 2: runs grow (`storage.run_changes`).
3: run.json is sealed (`storage.seal`). 4: blocks of pairs are packed (`storage.blocks`), in runs that say so. 5: axes
of arrays have names, which a run says in its layout (`storage.labels`)."""
SEALED = 3
"""The first format whose headers have a seal."""

MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: lambda header: {**header, "changes": []},
    2: lambda header: header,
    3: lambda header: header,
    4: lambda header: header,
}
"""{format: its header -> a header of the next format}. A run's header is read through them; its file keeps the old
format until it is written again."""

_DECIDES = ("config", "inputs")
"""Parts of the header that decide the pixels of a run, besides `weights`. The others (versions, time, threads) stay as
they were when the run was planned."""


class RunConflict(ValueError):
    """The folder holds another run. The message has one line per difference: key, old value -> new value."""


class NoRun(ValueError):
    """There is no usable run in the folder; one line that says what to do."""


class DamagedHeader(NoRun):
    """`run.json` is there, and is not what was written."""


def write(path: Path, header: dict[str, Any]) -> None:
    """Write `header` to `path` in the newest format; the run exists from this moment on."""
    whole = {"changes": [], **header, "format": FORMAT}
    write_bytes(path, sealed(whole))


def read(path: Path) -> dict[str, Any]:
    """The header at `path`, in the newest format, whatever the file's format is.

    Raises:
        NoRun: there is none, or a newer version of the package wrote it. DamagedHeader: it is not what was written.
    """
    again = "bring it back from a copy or start again in another folder"
    try:
        header, has_seal = opened(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise NoRun(f"{path.parent} holds no run (it has no {path.name}); start one with `mgi translate`") from None
    except BrokenSeal as error:
        raise DamagedHeader(f"{path} is damaged: {error}; {again}") from None
    number = header.get("format")
    if not isinstance(number, int) or number < 1 or "digest" not in header:
        raise DamagedHeader(f"{path} is no header of a run; {again}")
    if number > FORMAT:
        raise NoRun(
            f"{path} is of format {number}, and this version of mgi reads formats up to {FORMAT}; use the version that "
            "wrote it, or another folder"
        )
    if number >= SEALED and not has_seal:
        raise DamagedHeader(f"{path} is damaged: it has no seal; {again}")
    for older in range(number, FORMAT):
        header = {**MIGRATIONS[older](header), "format": older + 1}
    return header


def check_same(
    folder: Path, old: dict[str, Any], new: dict[str, Any], old_pairs: pd.DataFrame, pairs: pd.DataFrame
) -> None:
    """Check that both headers and plans describe the same run.

    Raises:
        RunConflict: they do not.
    """
    lines = list(differences(grown(old), new).values())
    if not lines and old["digest"] != new["digest"]:
        lines.append(f"digest: {old['digest'][:12]} -> {new['digest'][:12]}")
    if not lines and list(old_pairs["id"]) != list(pairs["id"]):
        counts = f"{_count(old_pairs, pairs)} -> {_count(pairs, old_pairs)}"
        lines.append(f"pairs: {counts} (files in the folders, or the CSV file, changed)")
    if lines:
        raise another_run(folder, lines)
    check_weights(folder, old.get("weights") or {}, new.get("weights") or {})


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """{key: "key: old value -> new value"} of configuration and inputs, under dotted keys such as `inputs.seed`."""
    lines = {}
    for part in _DECIDES:
        before, after = dict(_flat(old.get(part, {}), part)), dict(_flat(new.get(part, {}), part))
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key):
                lines[key] = f"{key}: {_show(before, key)} -> {_show(after, key)}"
    return lines


def another_run(folder: str | Path, lines: list[str]) -> RunConflict:
    """The error that says why a folder's run is not the one asked for, with a line per difference."""
    advice = f"{folder} holds another run; choose another folder, or continue it with `mgi resume {folder}`"
    return RunConflict("\n".join([f"{advice}:", *lines]))


def check_weights(folder: Path, old: Mapping[str, str], new: Mapping[str, str]) -> None:
    """Check that the weights and other files that a run uses still have the content they had.

    Args:
        folder: the run's.
        old: {name: sha256} when the run began.
        new: as they are now. A name that one side lacks, or one without a hash, does not count: weights that have not
            been downloaded yet have none.

    Raises:
        RunConflict: a file was replaced; one line that names it.
    """
    replaced = [name for name in sorted(old) if old[name] and new.get(name) and old[name] != new[name]]
    if replaced:
        said = ", ".join(f'weights.{name}: "{old[name][:12]}" -> "{new[name][:12]}"' for name in replaced)
        remedy = "bring that one back, or choose another folder"
        raise RunConflict(f"{folder} was begun with another file under this name ({said}); {remedy}")


def _flat(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Leaves of nested dicts under dotted keys, in the form that JSON gives them, so tuples equal lists."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}")
    else:
        yield key.removeprefix("config."), json.loads(json.dumps(value, default=str))


def _show(values: dict[str, Any], key: str) -> str:
    return json.dumps(values[key]) if key in values else "(none)"


def _count(pairs: pd.DataFrame, other: pd.DataFrame) -> str:
    only = [name for name in pairs["id"] if name not in set(other["id"])]
    return f"{len(pairs)}" + (f", among them {only[0]}" if only else "")
