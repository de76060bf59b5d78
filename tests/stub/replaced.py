"""Runs in this process whose pictures are replaced, and what is computed again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from marked import every_marker
from PIL import Image
from typer.testing import CliRunner, Result

from flows.cli import app
from storage.run_store import RunStore

LANES = ("L04N03", "L05N02", "L06N04")


def mgi(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert "Traceback" not in result.output and "internal error" not in result.output, result.output
    return result


def translate(folder: Path, run: str = "run", *more: str) -> Result:
    given = ("--profile", folder / "stub.toml", "--workers", "0", "--pairing", "product")
    return mgi("translate", folder / "sources", folder / "exemplars", "--out", folder / run, *given, *more)


def resume(folder: Path, *more: str) -> Result:
    return mgi("resume", folder / "run", "--workers", "0", *more)


def replace(path: Path, seed: int = 99) -> None:
    """Another picture under the name, as `mv` would put it there."""
    pixels = np.random.default_rng(seed).integers(0, 256, (36, 40, 3), dtype=np.uint8)
    beside = path.with_name(f".{path.name}.new.png")
    Image.fromarray(pixels).save(beside)
    beside.replace(path)


def pairs(run: Path) -> dict[tuple[str, str], str]:
    """{(source, exemplar): pair id}."""
    table = RunStore.open(run).pairs
    return {(s, e): id for s, e, id in zip(table["source"], table["exemplar"], table["id"], strict=True)}


def markers(run: Path) -> dict[str, str]:
    """{stage/key: content} of the pairs' markers; units that are computed again take other times."""
    return {f"{stage}/{key}": json.dumps(content) for (stage, key), content in every_marker(run).items()}


def recomputed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """Ids of pairs with another marker than before; all their markers must be others."""
    changed = {name for name, content in after.items() if before.get(name) != content}
    ids = {name.partition("/")[2].partition(".")[0] for name in changed}
    assert changed == {name for name in after if name.partition("/")[2].partition(".")[0] in ids}
    return ids


def content(run: Path, pair_id: str) -> dict[str, Any]:
    """Everything that a run keeps for a pair."""
    store = RunStore.open(run)
    index = list(store.pairs["id"]).index(pair_id)
    lanes = [f"{name}/{id}" for name in ("latents", "loss") for id in LANES]
    names = ["warp/source", "warp/exemplar", "warp/warp", *lanes]
    choice = store.done("select", pair_id) or {}
    arrays = {name: store.read(name, index).tolist() for name in names}
    return arrays | {"choice": {**choice, "seconds": 0}, "final": (run / "final" / f"{pair_id}.png").read_bytes()}
