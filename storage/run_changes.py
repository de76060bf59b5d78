"""How a run has grown: the list `changes` in its header, and what the run has to do with all of them applied.

`config`, `inputs` and `digest` of a run stay as they were when it began, for the digest is the run's name and seals its
markers. Every change says what it sets and what it adds:

    {"when": "2026-01-31T12:00:00+00:00", "what": "hypotheses", "set": {"inversion.num_codes": [10, 20]},
     "added": ["L04N20"], "mgi": "0.2.0", "applied": false}

`what` is "pairs", "hypotheses" or "selection"; keys of `set` are those of the configuration, or `inputs.limit`; `added`
are ids of pairs or hypotheses. `applied` becomes true once the choices that the change made void are taken back, which
`tasks.grow.settle` does when a run is opened for work.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

PAIRS, HYPOTHESES, SELECTION = "pairs", "hypotheses", "selection"
"""Kinds of changes."""
INPUTS = "inputs"
"""First part of the keys in `set` that are not configuration."""


def grown(header: Mapping[str, Any], count: int | None = None) -> dict[str, Any]:
    """The header with `config` and `inputs` as its changes left them.

    Args:
        header: a run's header, as read.
        count: only the first so many changes; None for all.
    """
    whole = copy.deepcopy(dict(header))
    for change in header["changes"][:count]:
        for key, value in change["set"].items():
            _put(whole if key.partition(".")[0] == INPUTS else whole["config"], key, value)
    return whole


def told(change: Mapping[str, Any]) -> str:
    """What a change did, in a few words.

    Example:
        >>> told({"what": "pairs", "set": {}, "added": ["a", "b"]})
        '2 pairs added'
        >>> told({"what": "hypotheses", "set": {}, "added": ["L04N20"]})
        '1 hypothesis added: L04N20'
        >>> told({"what": "selection", "set": {"selection.rule": "sifid"}, "added": []})
        'chosen again by selection.rule = sifid'
    """
    count = len(change["added"])
    if change["what"] == PAIRS:
        return f"{count} {'pair' if count == 1 else 'pairs'} added"
    if change["what"] == HYPOTHESES:
        return f"{count} {'hypothesis' if count == 1 else 'hypotheses'} added: {', '.join(change['added'])}"
    return f"chosen again by {', '.join(f'{key} = {value}' for key, value in change['set'].items())}"


def history(header: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(minute, what was done) of every change of a run, such as ("2026-11-25 12:00 UTC", "4 pairs added")."""
    return [(f"{change['when'][:16].replace('T', ' ')} UTC", told(change)) for change in header["changes"]]


def unapplied(header: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Changes that are not applied yet, oldest first."""
    return [change for change in header["changes"] if not change["applied"]]


def applied(header: Mapping[str, Any]) -> dict[str, Any]:
    """The header with every change applied."""
    return {**header, "changes": [{**change, "applied": True} for change in header["changes"]]}


def _put(section: dict[str, Any], key: str, value: Any) -> None:
    *parents, name = key.split(".")
    for parent in parents:
        section = section.setdefault(parent, {})
    section[name] = value
