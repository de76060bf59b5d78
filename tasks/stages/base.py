"""What a stage is: one row of the table in `tasks.stages.table`.

A stage has units, the smallest pieces of work that a resumed run does not repeat. A unit has a key, under which its
marker says that it is done, and belongs to one pair. The row says which units there are, what must be done before them,
how they are called and what a failure means. All code that runs, shows, counts or takes back work reads it here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from mgi.config import RunConfig
from storage.unit_keys import key_of
from tasks.method import Layout
from tasks.unit import Job, OpenRun, Outcome

Call = tuple[Any, ...]
"""Arguments of a stage's unit function, after the job."""


class Choice(TypedDict, total=False):
    """Which hypothesis a pair gets: by which rule, at what value, and which others were ruled out and why.

    A pair that could not be read when a set was chosen for has `failed` alone, the reason.
    """

    hypothesis: str
    rule: str
    value: float
    guarded: Sequence[str]
    invalid: Sequence[str]
    halved: Sequence[str]
    failed: str


Choices = Mapping[str, Choice]
"""{pair id: choice}, by a rule that compares whole sets."""
WholeSet = Callable[[Job, list[str]], Choices]
"""Chooses for all pairs together: (job, pair ids) -> choices."""


@dataclass(frozen=True)
class Shard:
    """Some pairs of a run, as one stage sees them before it works on them."""

    run: OpenRun
    left: Mapping[str, Sequence[str]]
    """{pair id: keys of its units that are left}; pairs with nothing left are not in it."""
    untouched: bool
    """No unit of this stage was done before, for any pair of the run."""
    layout: Callable[[], Layout]
    """How the method wants to be called. Asking loads networks on a worker, so only stages that need it ask."""
    choices: Choices
    """The choices, for a stage that chooses for the whole set; else empty."""
    died: Collection[str] = ()
    """What processes died in, as `Stage.begun` names it; such a pair shares no call with others."""


def one_part(run: OpenRun) -> list[str]:
    """A stage that has one unit per pair: its key is the pair's id."""
    return [""]


def one_call_per_pair(shard: Shard) -> list[Call]:
    """The calls of a unit function that takes a pair's id and nothing else."""
    return [(pair_id,) for pair_id in shard.left]


def first_argument(call: Call) -> list[str]:
    """The pair of a call that takes a pair's id first."""
    return [call[0]]


def no_parts(call: Call) -> list[str]:
    """A call does all of its pairs that the stage does."""
    return []


def always(config: RunConfig) -> bool:
    """Every run has the stage."""
    return True


def each_pair_alone(config: RunConfig) -> None:
    """No pair waits for the others."""


@dataclass(frozen=True)
class Stage:
    """One row of the table. Its functions are small and import what computes only when a unit runs."""

    name: str
    """What people and logs call it; also the folder of its markers."""
    unit: str
    """What one unit is, in the plural: "pairs", "hypotheses"."""
    compute: Callable[..., list[Outcome]]
    """The unit function, (job, *call) -> an outcome per unit. Dask finds it by its name on a worker."""
    after: tuple[str, ...] = ()
    """Stages whose units of the same pair must be done first; stages that a run does not have do not count."""
    used_by: Callable[[RunConfig], bool] = always
    """Whether a run of this configuration has the stage."""
    parts: Callable[[OpenRun], list[str]] = one_part
    """Parts of which every pair has a unit, in order, see `storage.unit_keys`."""
    calls: Callable[[Shard], list[Call]] = one_call_per_pair
    """The calls of the unit function that do what is left of a shard; one call may do several units."""
    pairs_of: Callable[[Call], list[str]] = first_argument
    """Ids of the pairs that a call works on."""
    parts_of: Callable[[Call], Sequence[str]] = no_parts
    """Parts that a call does of each of its pairs, for the names that people see; empty: the whole pair."""
    translates: bool = True
    """Whether its units load the run's method, so that workers should have it loaded before."""
    result: str = ""
    """The file that a unit leaves for people, with `{}` for its key. A unit whose file was moved away is not done."""
    publish_lost: Callable[[Job, Call, str], list[Outcome]] | None = None
    """For stages whose units publish their own failures, so the other units of the pair continue: publishes the units
    of a call whose workers all died as failed; (job, call, reason) -> outcomes."""
    required: bool = True
    """Whether a pair needs it to be complete."""
    whole_set: Callable[[RunConfig], WholeSet | None] = each_pair_alone
    """What chooses for all pairs together before the first unit runs; None if each pair stands alone."""

    def keys(self, run: OpenRun, pair_id: str) -> list[str]:
        """Keys of a pair's units."""
        return [key_of(pair_id, part) for part in self.parts(run)]

    @property
    def quarantines(self) -> bool:
        """Whether a failed unit takes its pair out of the run."""
        return self.publish_lost is None

    def label(self, call: Call) -> tuple[str, ...]:
        """What a call is called where people see it: stage, pair, part.

        Example:
            >>> Stage("warp", "pairs", compute=print).label(("cat__lion__0a1b2c3d",))
            ('warp', 'cat__lion__0a1b2c3d')
        """
        names = (self.pairs_of(call), self.parts_of(call))
        short = [f"{some[0]}+{len(some) - 1}" if len(some) > 1 else some[0] for some in names if some]
        return (self.name, *short)

    def begun(self, call: Call) -> list[str]:
        """Names, `STAGE.PAIR`, by which deaths of the process in a call are counted."""
        return [f"{self.name}.{pair_id}" for pair_id in self.pairs_of(call)]

    def lost(self, job: Job, call: Call, reason: str) -> list[Outcome]:
        """Outcomes of a call whose workers died."""
        if self.publish_lost is not None:
            return self.publish_lost(job, call, reason)
        return [Outcome(self.name, call[0], call[0], failed=reason)]
