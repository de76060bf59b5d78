"""`--dry-run`: the plan, the networks, settings that clash and how long it takes; nothing is written."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.arguments import Arguments
from flows.cli.common import err, out
from flows.errors import Exit
from flows.settings import Workers
from mgi.config import ConfigError

if TYPE_CHECKING:
    from tasks.estimates.estimate import Estimate, Piece
    from tasks.estimates.forecast import Forecast
    from tasks.stages.plan import Plan

SHOWN = 20
"""Pairs that a dry run lists."""

DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Print the plan, missing networks, clashing settings and a time measured here; write nothing.",
    ),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="With --dry-run: exit code 2 if a network is missing or settings clash.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="With --dry-run: one JSON object, for scripts.")]


def check_options(dry_run: bool, strict: bool, as_json: bool) -> None:
    """Refuse options of a dry run without one."""
    for name, given in (("--strict", strict), ("--json", as_json)):
        if given and not dry_run:
            raise ConfigError(f"{name} belongs to --dry-run")


def show_dry_run(asked: Arguments, run: Path, where: tuple[Workers, str | None], strict: bool, as_json: bool) -> int:
    """Print what a command would do.

    Args:
        asked: what a person asks for.
        run: folder of the run.
        where: workers and scheduler.
        strict: end with code 2 where the run could not start.
        as_json: for scripts.
    """
    from flows.pipeline import request_of
    from flows.session import count_workers
    from tasks.estimates.forecast import forecast
    from tasks.stages.plan import make_plan

    plan = make_plan(request_of(asked))
    workers, scheduler = where
    if not as_json:
        _print_plan(plan)
    found = forecast(plan, 0 if scheduler else count_workers(workers))
    if as_json:
        typer.echo(json.dumps({**_plan_as_dict(plan, run), **found.as_dict()}, indent=1))
    else:
        _print_forecast(found, scheduler)
        state = "exists: would be continued; the estimate is for all of it" if run.exists() else "new"
        out.print(f"run         {run} ({state}); nothing was written", markup=False)
    for warning in plan.warnings:
        err.print(f"note: {warning}", markup=False)
    return Exit.USAGE if strict and not found.can_start else Exit.DONE


def _print_plan(plan: Plan) -> None:
    config = plan.request.config
    how = f"{config.generator}, {config.inversion.method}, {config.inversion.steps} steps"
    out.print(f"profile     {config.profile} ({how})", markup=False)
    if config.task == "invert":
        out.print(f"pictures    {len(plan.pairs)} (degradation: {config.inversion.degradation})", markup=False)
    else:
        out.print(f"pairs       {len(plan.pairs)} ({plan.request.pairing})", markup=False)
    for pair in plan.pairs[:SHOWN]:
        out.print(f"            {pair.source}{f' + {pair.exemplar}' if pair.exemplar else ''}", markup=False)
    if len(plan.pairs) > SHOWN:
        out.print(f"            ... and {len(plan.pairs) - SHOWN} more")
    out.print(f"hypotheses  {len(plan.hypotheses)}: {' '.join(plan.hypotheses)}")
    out.print(f"work        {plan.lanes} inversions, {plan.lane_steps} optimisation steps")


def _print_forecast(found: Forecast, scheduler: str | None) -> None:
    for number, network in enumerate(found.networks):
        advice = f": {network.advice}" if network.advice else ""
        head = "networks" if number == 0 else ""
        line = f"{head:<12}{network.state:<8} {network.name} ({', '.join(network.roles)}){advice}"
        out.print(line, markup=False)
    for number, problem in enumerate(found.problems):
        out.print(f"{'clashes' if number == 0 else '':<12}{problem}", markup=False)
    if found.networks and found.networks[0].state != "here":
        out.print("            the generator is not here: what depends on it was not checked")
    if found.estimate is None:
        out.print(f"estimate    none: {found.not_estimated}", markup=False)
    else:
        _print_estimate(found.estimate, scheduler)


def _print_estimate(found: Estimate, scheduler: str | None) -> None:
    from tasks.report.template import duration

    threads = f", {found.threads} threads" if found.threads and found.device == "cpu" else ""
    out.print(f"measured    on {found.device}{threads}:")
    for what, pieces in groupby([*found.start, *found.shared], lambda piece: piece.what):
        out.print(f"            {_measured(what, list(pieces))}", markup=False)
    one = duration(found.seconds(1))
    if scheduler:
        text = f"about {one} on one worker like this machine; what {scheduler} has is not known here"
    elif found.workers > 1:
        text = f"about {duration(found.seconds())} with {found.workers} workers ({one} with one)"
    else:
        text = f"about {one} {'with one worker' if found.workers else 'in this process'}"
    out.print("; ".join([f"estimate    {text}", *found.notes]), markup=False)


def _measured(what: str, pieces: list[Piece]) -> str:
    """One line of one kind of work: what was measured, and what that comes to."""
    from tasks.report.template import duration

    known = [piece for piece in pieces if piece.measured]
    each = [f"{piece.seconds:.3g} s per {what}{f' at {piece.at}' if piece.at else ''}" for piece in known[:1]]
    each += [f"{piece.seconds:.3g} s at {piece.at}" for piece in known[1:]]
    scaled = ", others scaled" if len(known) < len(pieces) else ""
    count, total = sum(piece.count for piece in pieces), sum(piece.total for piece in pieces)
    return f"{', '.join(each)}{scaled}; x {count:.0f} = {duration(total)}"


def _plan_as_dict(plan: Plan, run: Path) -> dict[str, Any]:
    config = plan.request.config
    return {
        "run": str(run),
        "exists": run.exists(),
        "profile": config.profile,
        "generator": config.generator,
        "method": config.inversion.method,
        "pairs": [{"source": pair.source, "exemplar": pair.exemplar} for pair in plan.pairs],
        "hypotheses": plan.hypotheses,
        "inversions": plan.lanes,
        "steps": plan.lane_steps,
        "warnings": plan.warnings,
    }
