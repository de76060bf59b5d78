"""Write the tables of docs/weights.md from mgi/weights/zoo.toml: `python docs/make_weights.py [--check]`."""

from __future__ import annotations

import sys
import typing
from collections import defaultdict
from pathlib import Path

from pydantic import BaseModel

from mgi.config import RunConfig
from mgi.metrics.registry import REGISTRY as METRICS
from mgi.metrics.registry import metric
from mgi.profiles import load_config, profile_names
from mgi.translators.networks import needs
from mgi.translators.registry import REGISTRY as METHODS
from mgi.weights import Entry, entries
from mgi.weights.zoo import PAGE, WHEEL

PAGE_FILE = Path(__file__).with_name("weights.md")
BEGIN, END = "<!-- begin: made by `python docs/make_weights.py` from mgi/weights/zoo.toml -->\n", "<!-- end -->\n"
CARDS = Path(__file__).parents[1] / "mgi" / "zoo"

HASHES = """\
Hashes that are known beforehand; eight digits are the beginning that a publisher put into the file's name. All others
are pinned at the first fetch.
"""

OTHERWISE = {
    "generator": "`generator = NAME`",
    "descriptor": "`warp.descriptor`, with its generator",
    "critic": "`selection.rule = critic`, with its generator",
}
"""What uses a network of a kind that no profile, method or metric names."""


def tables() -> str:
    """Both tables, as Markdown."""
    used = _users()
    rows = [["name", "what", "where from", "licence", "MB", "used by", "in mgi"]]
    rows += [
        [
            f"[`{one.name}`](../mgi/zoo/{one.name}.md)" if (CARDS / f"{one.name}.md").is_file() else f"`{one.name}`",
            one.title,
            _home(one),
            one.licence,
            f"{one.size_bytes / 1e6:.1f}" if one.size_bytes else "not measured",
            used.get(one.name) or OTHERWISE[one.kind],
            "yes" if one.in_package else "no",
        ]
        for one in entries()
    ]
    hashes = [["name", "published file", "its sha256", "sha256 of the tensors here"]]
    hashes += [
        [f"`{one.name}`", f"`{one.file}`", _hash(one.file_sha256), _hash(one.sha256)]
        for one in entries()
        if one.file_sha256 or one.sha256
    ]
    return f"{_table(rows)}\n{HASHES}\n{_table(hashes)}"


def _home(one: Entry) -> str:
    if one.in_package:
        return "this project"
    if one.source.startswith(WHEEL):
        name, _, version = one.source.removeprefix(WHEEL).partition("==")
        return f"package `{name}` {version}"
    if one.source.startswith(PAGE):
        return f"[its authors' page]({one.source.removeprefix(PAGE)}); bring the file"
    return f"[its publisher's file]({one.source})"


def _hash(text: str) -> str:
    return f"`{text}`" if text else ""


def _users() -> dict[str, str]:
    """{network: which profiles, methods, metrics and settings use it, in words}."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for profile in profile_names():
        for name in needs(load_config(profile)):
            found[name]["profiles"].append(profile)
    for method in METHODS.rows:
        for name in needs(load_config("embedded", method=method)):
            if not found[name]["profiles"]:  # what a profile brings serves most methods
                found[name]["methods"].append(method)
    for row in METRICS.rows:
        for name in metric(row).weights:
            found[name]["metrics"].append(row)
    for key, names in _choices(RunConfig):
        for name in names & {one.name for one in entries()}:
            found[name]["settings"].append(key)
    return {name: _words(kinds) for name, kinds in found.items()}


def _words(kinds: dict[str, list[str]]) -> str:
    said = []
    for kind, names in kinds.items():
        if names:
            word = kind if len(names) > 1 else kind.removesuffix("s")
            said.append(f"{word} {', '.join(f'`{name}`' for name in dict.fromkeys(names))}")
    return "; ".join(said)


def _choices(model: type[BaseModel], prefix: str = "") -> list[tuple[str, set[str]]]:
    """(key, values) of the settings that name one of several things."""
    found: list[tuple[str, set[str]]] = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found += _choices(field.annotation, f"{prefix}{name}.")
        elif typing.get_origin(field.annotation) is typing.Literal:
            found.append((prefix + name, {str(value) for value in typing.get_args(field.annotation)}))
    return found


def _table(rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]]) + "\n"


def main() -> None:
    """Write the page, or with --check say whether it is up to date."""
    before = PAGE_FILE.read_text(encoding="utf-8")
    start, end = before.index(BEGIN) + len(BEGIN), before.index(END)
    after = before[:start] + tables() + before[end:]
    if "--check" not in sys.argv[1:]:
        PAGE_FILE.write_text(after, encoding="utf-8")
    elif after != before:
        sys.exit("docs/weights.md is not what mgi/weights/zoo.toml says; run `python docs/make_weights.py`")


if __name__ == "__main__":
    main()
