"""`--dry-run`: the plan, the networks, settings that clash and the time it takes; nothing is written."""

from __future__ import annotations

from dataclasses import asdict, replace
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.arguments import Arguments, require_apart
from flows.cli.common import Answer, complain, out, say
from flows.cli.sizes import size_in_words
from flows.errors import Exit
from flows.remote import viewed_folder
from flows.settings import Workers
from mgi.addresses import shown
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


def check_options(dry_run: bool, strict: bool) -> None:
    """Refuse an option of a dry run if there is no dry run."""
    if strict and not dry_run:
        raise ConfigError("--strict belongs to --dry-run")


def show_dry_run(asked: Arguments, run: str, where: tuple[Workers, str | None], strict: bool) -> Answer:
    """Print what a command would do.

    Args:
        asked: what the user asks for.
        run: folder or address of the run.
        where: workers and scheduler.
        strict: end with code 2 if the run could not start.
    """
    from flows.pipeline import request_of
    from flows.session import count_workers
    from storage.run_changes import HYPOTHESES, PAIRS, told
    from tasks.estimates.forecast import forecast
    from tasks.growth import plan_for

    request = request_of(asked)
    require_apart(run, request.sources, request.exemplars)
    with viewed_folder(run, new=True) as folder:
        store, plan, growth = plan_for(request, folder, asked.extend)
    added = {what: growth.added(what) if growth else () for what in (PAIRS, HYPOTHESES)}
    part = plan  # of added pairs it is known what they cost; what is left of a run is not, and added hypotheses share
    if added[PAIRS] and not added[HYPOTHESES]:
        part = replace(plan, pairs=[pair for pair in plan.pairs if pair.id in added[PAIRS]])
    workers, scheduler = where
    _print_plan(plan)
    found = forecast(part, 0 if scheduler else count_workers(workers))
    _print_forecast(found, scheduler)
    grows = "".join(f", {told(asdict(change))}" for change in growth.changes) if growth else ""
    of = "all of it" if part is plan else "what is added"
    state = f"exists: would be continued{grows}; the estimate is for {of}" if store else "new"
    out.print(f"run         {run} ({state}); nothing was written", markup=False)
    for warning in plan.warnings:
        say(f"note: {warning}")
    refused = strict and not found.can_start
    if refused:
        lacking = [*(network.name for network in found.missing), *found.problems]
        complain(f"mgi: this run cannot start: {'; '.join(lacking)}")
    more = {"added": added, "estimated": "all" if part is plan else "added"}
    fields = {**_plan_as_dict(plan, run, store is not None), **more, **found.as_dict()}
    return Answer(fields, Exit.USAGE if refused else Exit.DONE)


def _print_plan(plan: Plan) -> None:
    config = plan.request.config
    steps = f"{config.generator}, {config.method}, {config.inversion.steps} steps"
    how = steps if config.searches else f"only its sections align, warp and oeft; method {config.method}"
    out.print(f"profile     {config.profile} ({how})", markup=False)
    if config.task == "invert":
        out.print(f"pictures    {len(plan.pairs)} (degradation: {config.inversion.degradation})", markup=False)
    else:
        out.print(f"pairs       {len(plan.pairs)} ({plan.request.pairing})", markup=False)
    for pair in plan.pairs[:SHOWN]:
        out.print(f"            {pair.source}{f' + {pair.exemplar}' if pair.exemplar else ''}", markup=False)
    if len(plan.pairs) > SHOWN:
        out.print(f"            ... and {len(plan.pairs) - SHOWN} more")
    if config.searches:
        out.print(f"hypotheses  {len(plan.hypotheses)}: {' '.join(plan.hypotheses)}")
        out.print(f"work        {plan.lanes} inversions, {plan.lane_steps} optimisation steps")
    else:
        out.print(f"work        {len(plan.pairs)} images")


def _print_forecast(found: Forecast, scheduler: str | None) -> None:
    for number, network in enumerate(found.networks):
        advice = f": {network.advice}" if network.advice else ""
        head = "networks" if number == 0 else ""
        line = f"{head:<12}{network.state:<8} {network.name} ({', '.join(network.roles)}){advice}"
        out.print(line, markup=False)
    for number, problem in enumerate(found.problems):
        out.print(f"{'clashes' if number == 0 else '':<12}{problem}", markup=False)
    if any("generator" in network.roles for network in found.missing):
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
        text = f"about {one} on one worker like this machine; what {shown(scheduler)} has is not known here"
    elif found.workers > 1:
        text = f"about {duration(found.seconds())} with {found.workers} workers ({one} with one)"
    else:
        text = f"about {one} {'with one worker' if found.workers else 'in this process'}"
    out.print("; ".join([f"estimate    {text}", *found.notes]), markup=False)
    if found.bytes:
        out.print(f"disk        at most {size_in_words(found.bytes)}", markup=False)


def _measured(what: str, pieces: list[Piece]) -> str:
    """One line for one kind of work: what was measured, and what that adds up to."""
    from tasks.report.template import duration

    known = [piece for piece in pieces if piece.measured]
    each = [f"{piece.seconds:.3g} s per {what}{f' at {piece.at}' if piece.at else ''}" for piece in known[:1]]
    each += [f"{piece.seconds:.3g} s at {piece.at}" for piece in known[1:]]
    scaled = ", others scaled" if len(known) < len(pieces) else ""
    count, total = sum(piece.count for piece in pieces), sum(piece.total for piece in pieces)
    return f"{', '.join(each)}{scaled}; x {count:.0f} = {duration(total)}"


def _plan_as_dict(plan: Plan, run: str, exists: bool) -> dict[str, Any]:
    config = plan.request.config
    return {
        "run": run,
        "exists": exists,
        "profile": config.profile,
        "generator": config.generator,
        "method": config.method,
        "pairs": [{"source": pair.source, "exemplar": pair.exemplar} for pair in plan.pairs],
        "hypotheses": plan.hypotheses,
        "inversions": plan.lanes,
        "steps": plan.lane_steps,
        "warnings": plan.warnings,
    }
