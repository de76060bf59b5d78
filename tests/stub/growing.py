"""Growing a run of the stub: by commands in this process, or step by step as they do it (decide, write, settle)."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from marked import every_marker
from typer.testing import CliRunner, Result

from flows.arguments import Arguments
from flows.cli import app
from flows.pipeline import request_of
from storage.run_arrays import hash_of
from storage.run_store import RunStore
from tasks.grow import grow, settle
from tasks.growth import Growth, growth, kept_pairs
from tasks.method import layout_of
from tasks.stages.ledger import Ledger
from tasks.stages.plan import Request, make_plan
from tasks.unit import Job, OpenRun


def asked(inputs: Path, **settings: Any) -> Request:
    """The request of `mgi translate` for these inputs with these settings; in `settings`, `__` stands for a dot."""
    folders = [str(inputs / side) for side in ("sources", "exemplars")]
    overrides = {key.replace("__", "."): value for key, value in settings.items()}
    return request_of(Arguments("translate", *folders, profile=str(inputs / "stub.toml"), overrides=overrides))


def decided(run: Path, request: Request, extending: bool = False) -> Growth:
    """How the run has to grow."""
    store = RunStore.open(run)
    plan = make_plan(request, kept_pairs(store.header, store.pairs, extending))
    found = growth(str(run), store.header, store.pairs, plan, extending)
    assert found is not None
    return found


def write(run: Path, found: Growth, request: Request | None = None) -> None:
    """Write a growth, and take nothing back yet; a request is needed if it adds hypotheses."""
    store = RunStore.open(run)
    with store.lock():
        grow(store, found, layout_of(request.config.model_dump_json()) if request else None)


def opened(run: Path) -> OpenRun:
    return Job(str(run), RunStore.open(run).header["digest"]).open()


def settled(run: Path) -> list[str]:
    """Take back what is void; returns the kinds of the changes that were not applied."""
    with RunStore.open(run).lock():
        return [change["what"] for change in settle(Ledger(opened(run)))]


def mgi(*arguments: str | Path, code: int = 0) -> Result:
    """The `mgi` command in this process, which must end with this exit code."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def translate(inputs: Path, run: Path, *more: str | Path, code: int = 0) -> Result:
    """`mgi translate` of the inputs with the stub profile."""
    folders = (inputs / "sources", inputs / "exemplars")
    profile = ("--profile", inputs / "stub.toml", "--workers", "0")
    return mgi("translate", *folders, "--out", run, *profile, *more, code=code)


def computed(run: Path) -> list[tuple[str, str]]:
    """(stage, key) of the units that were computed, over all commands."""
    events = map(json.loads, (run / "log.jsonl").read_text().splitlines())
    return [(event["stage"], event["key"]) for event in events if event["event"] == "unit"]


def units(run: Path) -> Counter[str]:
    """How many units were computed, over all commands, by stage."""
    return Counter(stage for stage, _ in computed(run))


Chunks = dict[tuple[Path, str, int], str]


def chunks(run: Path) -> Chunks:
    """{(run, array, row): hash} of warps, latents and features."""
    store = RunStore.open(run)
    units = every_marker(run).values()
    found = {(run, name, unit["pair_index"]) for unit in units for name in unit["arrays"]}
    return {(run, name, row): hash_of(store.read(name, row)) for run, name, row in sorted(found)}


def check_kept(old: Chunks) -> None:
    """What `chunks` found is as it was."""
    (run,) = {run for run, _, _ in old}
    assert old.items() <= chunks(run).items(), "an old array was written again"
