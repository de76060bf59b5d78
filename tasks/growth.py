"""Whether a request means an existing run, that run grown, or another one.

A run grows by pairs (more images, with --extend), by hypotheses (more of them in the configuration), and by a new
choice among the hypotheses it has (`mgi select`). Any other difference makes another run. A command that once described
the run still does: if it asks for fewer hypotheses than the run has by now, it continues the grown run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from mgi.config import ConfigError, RunConfig, validation_line
from mgi.critics import critic_name
from mgi.pairs import Pair
from mgi.profiles import whole_paths
from storage.run_changes import HYPOTHESES, PAIRS, SELECTION, grown
from storage.run_header import another_run, check_weights, differences
from storage.run_store import RunConflict, RunStore
from tasks.stages.plan import Plan, Request, make_plan, weight_hashes
from tasks.stored import stored_config, stored_configs

SEARCH_KEYS = ("inversion.hypotheses", "inversion.composing_layers", "inversion.num_codes")
"""Keys that list hypotheses."""
CHOICE_KEYS = ("selection.rule", "selection.fidelity_bound", "selection.critic_margin")
"""Keys that decide the choice among hypotheses, and nothing before it."""
LIMIT = "inputs.limit"
NO_PAIRS = pd.DataFrame(columns=["id", "source", "exemplar"])


@dataclass(frozen=True)
class Change:
    """One way in which a run grows: what kind, which keys it sets, and the ids of the pairs or hypotheses it adds."""

    what: str
    set: dict[str, Any]
    added: tuple[str, ...] = ()


@dataclass(frozen=True)
class Growth:
    """What must be added to a run to make it what was asked for.

    `pairs` are the rows to add to the plan: columns `id`, `source`, `exemplar`.
    """

    changes: tuple[Change, ...]
    pairs: pd.DataFrame

    def added(self, what: str) -> tuple[str, ...]:
        """Ids of the pairs or hypotheses that are added."""
        return tuple(id for change in self.changes if change.what == what for id in change.added)

    def config(self, header: Mapping[str, Any], run: str) -> RunConfig:
        """The configuration of the run with this header, once it is grown."""
        changes = [*header["changes"], *({"set": change.set} for change in self.changes)]
        return stored_config({**header, "changes": changes}, run)


def plan_for(request: Request, run: str, extending: bool) -> tuple[RunStore | None, Plan, Growth | None]:
    """The run in a folder, the plan of a request to it, and how the run must grow for that.

    Args:
        request: what is asked for.
        run: the folder.
        extending: whether pairs may be added.

    Returns:
        The run, or None if there is none yet; the plan; the growth, or None if the run need not grow.

    Raises:
        storage.run_store.RunConflict: it is another run, see `growth`; or weights were replaced since it began.
        storage.folders.InputError, ConfigError: as `make_plan`.
    """
    if not (Path(run) / "run.json").exists():
        return None, make_plan(request), None
    store = RunStore.open(run)
    header = store.header
    plan = make_plan(request, kept_pairs(header, store.pairs, extending))
    found = growth(run, header, store.pairs, plan, extending)
    check_weights(store.path, header.get("weights") or {}, weight_hashes(request.config))
    return store, plan, found


def kept_pairs(header: Mapping[str, Any], pairs: pd.DataFrame, extending: bool) -> list[Pair]:
    """The pairs of a run that a new pairing of its folders must not change: all if it gets or got more, else none.

    Args:
        header, pairs: of the run's store.
        extending: whether pairs may be added.
    """
    if not extending and all(change["what"] != PAIRS for change in header["changes"]):
        return []
    return [
        Pair(str(source), str(exemplar)) for source, exemplar in zip(pairs["source"], pairs["exemplar"], strict=True)
    ]


def growth(run: str, header: Mapping[str, Any], pairs: pd.DataFrame, plan: Plan, extending: bool) -> Growth | None:
    """How the run in a folder must grow to be what `plan` asks for; None if it already is.

    Args:
        run: the run's folder, for messages.
        header, pairs: of the run's store.
        plan: what is asked for now, made with `kept_pairs`.
        extending: whether pairs may be added (--extend). Pairs that the folders no longer give then stay in the run.

    Raises:
        storage.run_store.RunConflict: it is another run. The message has a line per difference, old -> new, and says
        how to ask for growth if that would do.
    """
    old, new = grown(header), {"config": plan.request.config.model_dump(mode="json"), "inputs": plan.request.inputs()}
    stages = stored_configs(header, run)
    # A run may be older than some fields and than absolute paths: it is the same run if it means the same here.
    old["config"] = whole_paths("", stages[-1].model_dump(mode="json"), Path.cwd())
    different = differences(old, new)
    reasons = [line for key, line in different.items() if key not in (*SEARCH_KEYS, *CHOICE_KEYS, LIMIT)]
    reasons += _other_choice(run, stages, plan.request.config, different)
    table = plan.table()
    rows = table[~table["id"].isin(pairs["id"])]
    if not extending:
        reasons += _other_pairs(header, pairs, table, different)
    changes = []
    if extending and len(rows):
        changes.append(Change(PAIRS, {LIMIT: plan.request.limit} if LIMIT in different else {}, tuple(rows["id"])))
    more, fewer = _other_hypotheses(stages, plan.request.config)
    keys = [key for key in SEARCH_KEYS if key in different]
    if fewer:
        reasons += [different[key] for key in keys]
        reasons.append(f"hypotheses can only be added to a run; without {', '.join(fewer)} it is another one")
    elif more:
        settings = new["config"]["inversion"]
        changes.append(Change(HYPOTHESES, {key: settings[key.partition(".")[2]] for key in keys}, more))
    if reasons:
        raise another_run(run, reasons)
    return Growth(tuple(changes), rows[["id", "source", "exemplar"]] if extending else NO_PAIRS) if changes else None


def reselection(
    run: str,
    header: Mapping[str, Any],
    rule: str | None,
    fidelity_bound: float | None,
    critic_margin: float | None = None,
) -> Growth | None:
    """The change that chooses again by another rule or other guards; None if the run already chooses like that.

    Raises:
        ConfigError: no such rule, a bound below 1, a negative margin, or a margin without a critic that fits the run.
        storage.run_store.RunConflict: the search of the run kept hypotheses by its own rule, so the other one would
        choose among too few.
    """
    old = stored_config(header, run)
    wanted = dict(zip(CHOICE_KEYS, (rule, fidelity_bound, critic_margin), strict=True))
    asked = {key: value for key, value in wanted.items() if value is not None}
    try:
        selection = {key.partition(".")[2]: value for key, value in asked.items()}
        new = RunConfig.model_validate(old.model_dump() | {"selection": old.selection.model_dump() | selection})
    except ValidationError as error:
        raise ConfigError(validation_line(error)) from None
    if new == old:
        return None
    if critic_margin and not critic_name(new):
        raise ConfigError(
            f"selection.critic_margin: no critic scores the hypotheses of {run}; make one with `mgi train critic "
            f"{new.generator} --out FILE` and start a separate run with selection.critic_file"
        )
    if old.inversion.rungs and old.inversion.rank_by != "loss" and _ranks_by(old) != _ranks_by(new):
        raise RunConflict(
            f"{run} kept hypotheses by {_ranks_by(old)} on its rungs, so {_ranks_by(new)} cannot choose among all of "
            "them; start a separate run with that rule"
        )
    return Growth((Change(SELECTION, asked),), NO_PAIRS)


def _other_choice(run: str, stages: list[RunConfig], config: RunConfig, different: Mapping[str, str]) -> list[str]:
    """Lines on a choice that the run never made."""
    wanted, *had = (
        (c.selection.rule, c.selection.fidelity_bound, c.selection.critic_margin) for c in (config, *stages)
    )
    if wanted in had:
        return []
    rule, bound, margin = wanted
    command = f"mgi select {run} --rule {rule} --fidelity-bound {bound:g} --critic-margin {margin:g}"
    lines = [different[key] for key in CHOICE_KEYS if key in different]
    return [*lines, f"to choose again among this run's hypotheses: `{command}`"]


def _other_pairs(
    header: Mapping[str, Any], pairs: pd.DataFrame, table: pd.DataFrame, different: Mapping[str, str]
) -> list[str]:
    """Lines on pairs that the folders give and the run lacks, or the reverse."""
    new, gone = table[~table["id"].isin(pairs["id"])]["id"], pairs[~pairs["id"].isin(table["id"])]["id"]
    why = "files in the folders, or the CSV file, changed"
    if len(new):
        count = f"{len(pairs)} -> {len(pairs) + len(new)}, among them {new.iloc[0]}"
        return [f"pairs: {count} ({why}; --extend adds what is new)"]
    if any(change["what"] == PAIRS for change in header["changes"]):
        return []  # earlier files and limits gave some of the run's pairs that these do not
    if len(gone):
        return [f"pairs: {len(pairs)}, among them {gone.iloc[0]} -> {len(table)} ({why})"]
    return [different[LIMIT]] if LIMIT in different else []


def _other_hypotheses(stages: list[RunConfig], config: RunConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(ids that `config` has and the run lacks, ids that the run has and `config` lacks).

    Both are empty if the run once had just those of `config`.
    """
    wanted, *had = ([h.id for h in c.hypotheses()] for c in (config, *stages))
    if any(set(wanted) == set(ids) for ids in had):
        return (), ()
    return tuple(id for id in wanted if id not in had[-1]), tuple(id for id in had[-1] if id not in wanted)


def _ranks_by(config: RunConfig) -> str:
    """The distance by which rungs rank hypotheses, see `mgi.scoring.judge`."""
    rule = config.selection.rule
    return rule if rule in ("paper", "critic") else "spatial-fd"
