"""What is known about a run before it starts: missing networks, settings that clash, and how long it takes."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mgi.config import RunConfig
from tasks.method import FACTORY
from tasks.stages.plan import Plan

if TYPE_CHECKING:
    from mgi.translators.inversion.compatibility import GeneratorFacts
    from mgi.translators.networks import Network
    from tasks.estimates.estimate import Estimate

ONLY_FOR_WARPS = {"warp", "alignment"}
"""Roles of networks that the inversion itself can be measured without."""


@dataclass(frozen=True)
class Forecast:
    """`networks` of the run with their states, `problems` that keep it from starting, and an `estimate`.

    `not_estimated` is the reason if there is no estimate.
    """

    networks: list[Network] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    estimate: Estimate | None = None
    not_estimated: str = ""

    @property
    def missing(self) -> list[Network]:
        """Networks that are missing or damaged."""
        return [network for network in self.networks if network.state != "here"]

    @property
    def can_start(self) -> bool:
        """Whether nothing is missing and nothing clashes."""
        return not (self.missing or self.problems)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "networks": [vars(network) for network in self.networks],
            "problems": self.problems,
            "can_start": self.can_start,
            "estimate": self.estimate.as_dict() if self.estimate else None,
            "not_estimated": self.not_estimated,
        }


def forecast(plan: Plan, workers: int) -> Forecast:
    """Look at everything, compute next to nothing (`tasks.estimates.probe.BUDGET_S`) and write nothing.

    Args:
        plan: the plan of the run.
        workers: processes that will share the work; 0: this process.
    """
    if FACTORY in os.environ:
        return Forecast(not_estimated=f"{FACTORY} replaces the method")
    from mgi.translators.inversion.compatibility import problems
    from mgi.translators.networks import inspect

    config = plan.request.config
    networks = inspect(config)
    if not config.searches:
        return _in_one_go(plan, workers, networks)
    facts, unreadable = _facts(config) if networks[0].state == "here" else (None, [])
    clashes = [*unreadable, *problems(config, facts)]
    missing = [network for network in networks if network.state != "here"]
    needed = [network.name for network in missing if set(network.roles) - ONLY_FOR_WARPS]
    if clashes:
        return Forecast(networks, clashes, not_estimated="settings clash")
    if needed:
        return Forecast(networks, not_estimated=f"{', '.join(needed)} {'are' if len(needed) > 1 else 'is'} missing")
    from tasks.estimates.estimate import estimate

    return Forecast(networks, estimate=estimate(plan, workers, warping=not missing))


def _in_one_go(plan: Plan, workers: int, networks: list[Network]) -> Forecast:
    """Of a method that tries no hypotheses."""
    missing = [network.name for network in networks if network.state != "here"]
    if missing:
        return Forecast(networks, not_estimated=f"{', '.join(missing)} {'are' if len(missing) > 1 else 'is'} missing")
    from tasks.estimates.estimate import estimate_in_one_go

    return Forecast(networks, estimate=estimate_in_one_go(plan, workers))


def _facts(config: RunConfig) -> tuple[GeneratorFacts | None, list[str]]:
    """The generator's facts, or why its file cannot be used."""
    from mgi.generators import GeneratorError
    from mgi.translators.inversion.compatibility import facts_of
    from mgi.weights import load_generator

    try:
        return facts_of(load_generator(config.generator), config.generator), []
    except GeneratorError as error:
        return None, [str(error)]
