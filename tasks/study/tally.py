"""What the votes say: the share of each method under each question, with Wilson's interval."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from mgi.intervals import wilson
from tasks.study.build import ATTENTION, DECOY, KEY, read_study
from tasks.study.votes import Vote, votes_of


@dataclass(frozen=True)
class Share:
    """Of `total` votes under a question, `votes` are for a method; the ends of the share's 95 % interval."""

    question: str
    method: str
    votes: int
    total: int
    low: float
    high: float


@dataclass(frozen=True)
class Tally:
    """All shares; how many people voted, and how many of them failed a check and are left out."""

    shares: list[Share]
    participants: int
    excluded: int


def tally(folder: str) -> Tally:
    """Count the votes of those who passed every check that they were shown.

    Raises:
        mgi.config.ConfigError: there is no study.
    """
    study = read_study(folder)
    key: dict[str, str] = json.loads((Path(folder) / KEY).read_text(encoding="utf-8"))
    votes = votes_of(folder)
    people = {vote.participant for vote in votes}
    failed = {vote.participant for vote in votes if key.get(vote.choice) == DECOY}
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for vote in votes:
        method = key.get(vote.choice)
        if vote.participant not in failed and method not in (None, ATTENTION, DECOY):
            counts[vote.question][str(method)] += 1
    methods = sorted(set(key.values()) - {ATTENTION, DECOY})
    shares = []
    for question in study["questions"]:
        found = counts[question["id"]]
        total = sum(found.values())
        for method in sorted(methods, key=lambda name: -found[name]):
            shares.append(Share(question["id"], method, found[method], total, *wilson(found[method], total)))
    return Tally(shares, len(people), len(failed))


def named_votes(folder: str) -> list[tuple[Vote, str]]:
    """Every vote with the method that it was for, checks included: for the user's own statistics."""
    key: dict[str, str] = json.loads((Path(folder) / KEY).read_text(encoding="utf-8"))
    return [(vote, key.get(vote.choice, "")) for vote in votes_of(folder)]
