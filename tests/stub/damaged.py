"""A small finished run whose files get damaged, and what `mgi verify` says of it."""

from __future__ import annotations

import re
from pathlib import Path

from runs import make_inputs
from typer.testing import CliRunner, Result

from flows.cli import app
from storage.blocks.shards import read_shard, write_shard
from storage.run_header import NoRun
from storage.run_store import RunStore
from tasks.damage import examine
from tasks.stages.ledger import Ledger
from tasks.unit import OpenRun

UNCHECKED = {".boot", ".inputs.json", ".lock", "log.jsonl"}
"""Nothing is computed from the log and the lock; the other two are made again from the markers."""
FATAL = {"run.json", "plan.parquet"}
"""What no stage can make again."""
ROWS = 64
"""Pairs of a block."""
Damage = bytes | None
"""What a file holds afterwards; None: it is gone."""


def mgi(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def files(run: Path) -> dict[str, bytes]:
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name not in UNCHECKED
    }


def lasting(run: Path) -> dict[str, bytes]:
    """What a repaired run has as it was: all but times, and the preview, which is only an early look."""
    kinds = (".png", ".jpg", "json", ".0", ".parquet")
    unlike = re.compile(r"^(done/|tables/|preview\.png)")
    return {name: data for name, data in files(run).items() if name.endswith(kinds) and not unlike.match(name)}


def put(path: Path, data: Damage) -> None:
    path.unlink() if data is None else path.write_bytes(data)


def named(run: Path) -> str:
    """What is found in a run, in lines."""
    try:
        return "\n".join(damage.said for damage in examine(Ledger(OpenRun(RunStore.open(run)))).damages)
    except NoRun as error:
        return str(error)


def lose_first(shard: Path) -> None:
    """The chunk of the first pair is gone."""
    pieces = read_shard(shard, ROWS)
    write_shard(shard, {1: pieces[1]}, ROWS)


def unfinished(run: Path) -> Path:
    """The choice of the first pair is left to do; returns its result."""
    final = sorted((run / "final").iterdir())[0]
    final.unlink()
    return final


def make_run(folder: Path) -> Path:
    """A finished run of two pairs by three hypotheses. Needs MGI_METHOD_FACTORY=stub_method:load."""
    inputs = make_inputs(folder / "in", 2)
    places = (inputs / "sources", inputs / "exemplars", "--out", inputs / "run", "--profile", inputs / "stub.toml")
    done = mgi("translate", *places, "--workers", 0, "--metrics", "l2")
    assert done.exit_code == 0, done.output
    return inputs / "run"


def kind(name: str) -> str:
    """A file's name without pair, hypothesis and row."""
    return re.sub(r"[se]\d\d__[^/.]*|L0\dN0\d|c\.\d", "*", name)


def one_of_each_kind(run: Path) -> list[str]:
    return list({kind(name): name for name in files(run)}.values())
