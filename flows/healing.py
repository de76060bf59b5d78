"""What a command does about damaged files of a run before it builds on them."""

from __future__ import annotations

from flows.session import Session
from storage.unit_keys import pair_of
from tasks.damage import Examined, examine, repair

SHOWN = 5
"""How many damaged files are named one by one."""


def heal(session: Session, retry: bool, check: bool) -> None:
    """Take back units whose files are damaged, so that they are computed again, and say so.

    With `check` every file is looked at. Otherwise only the seals of markers, and those only if something is left to
    do: a report or a choice for the whole set builds on all of them. What a unit reads it checks itself; if that failed
    its pair is in quarantine, and `retry` looks at the files of such pairs.
    """
    ledger = session.ledger
    alive = session.alive(session.run.pair_ids())
    if check:
        _take_back(session, examine(ledger))
        return
    held = set(session.run.store.quarantined()) if retry else set()
    if held:
        _take_back(session, examine(ledger, held))
    if held or any(ledger.left(stage, alive) for stage in ledger.stages):
        _take_back(session, examine(ledger, contents=False))


def _take_back(session: Session, found: Examined) -> None:
    if not found.damages:
        return
    for damage in found.damages[:SHOWN]:
        session.observer.say(f"damaged: {damage.said}")
    if len(found.damages) > SHOWN:
        session.observer.say(f"damaged: ... and {len(found.damages) - SHOWN} more")
    session.log.warning("damaged", files=[damage.said for damage in found.damages])
    repair(session.ledger, found)
    session.readmit([pair_of(damage.key) for damage in found.damages])
