"""Growing a run of the stub as the commands do: decide, write, settle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flows.arguments import Arguments
from flows.pipeline import request_of
from storage.run_store import RunStore
from tasks.grow import grow, settle
from tasks.growth import Growth, growth, kept_pairs
from tasks.method import layout_of
from tasks.stages.ledger import Ledger
from tasks.stages.plan import Request, make_plan
from tasks.unit import Job, OpenRun


def asked(inputs: Path, **settings: Any) -> Request:
    """What `mgi translate` of these inputs with these settings asks for; in `settings`, `__` stands for a dot."""
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
    """Write a growth, and take nothing back yet; a request is needed where it adds hypotheses."""
    store = RunStore.open(run)
    with store.lock():
        grow(store, found, layout_of(request.config.model_dump_json()) if request else None)


def opened(run: Path) -> OpenRun:
    return Job(str(run), RunStore.open(run).header["digest"]).open()


def settled(run: Path) -> list[str]:
    """Take back what is void; kinds of the changes that were not applied."""
    with RunStore.open(run).lock():
        return [change["what"] for change in settle(Ledger(opened(run)))]
