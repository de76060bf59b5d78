"""What a command does about pictures that were replaced since the run used them, and what it says about them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from flows.session import Session
from tasks.inputs import look

SHOWN = 5
"""How many pictures a line names."""


def renew_changed(session: Session) -> None:
    """Take back what was made from pictures that have been replaced since, so it is made again, and say so."""
    changes = look(session.ledger)
    if changes.gone:
        it = "it" if len(changes.gone) == 1 else "them"
        said = _since(len(changes.gone), "is gone", "are gone")
        session.observer.say(f"{said}: what was made of {it} is kept ({_named(session, changes.gone)})")
    if not changes.pairs:
        return
    again = "1 pair is" if len(changes.pairs) == 1 else f"{len(changes.pairs)} pairs are"
    said = _since(len(changes.replaced), "changed", "changed")
    session.observer.say(f"{said}: {again} computed again ({_named(session, changes.replaced)})")
    session.log.info("changed", pictures=list(changes.replaced), pairs=changes.pairs)
    from tasks.renew import renew  # imports Pillow, which a finished run does not need

    renew(session.ledger, changes)
    session.readmit(changes.pairs)


def look_back(session: Session) -> None:
    """Record what this session's pairs were made from, and say which pictures were replaced meanwhile."""
    changes = look(session.ledger)
    if changes.pairs:
        pairs = "1 pair" if len(changes.pairs) == 1 else f"{len(changes.pairs)} pairs"
        said = _since(len(changes.replaced), "changed", "changed")
        again = f"`mgi resume {session.run.store.path}` computes {pairs} again"
        session.observer.say(f"{said}: {again} ({_named(session, changes.replaced)})")


def _since(count: int, one: str, many: str) -> str:
    if count == 1:
        return f"1 picture {one} since this run used it"
    return f"{count} pictures {many} since this run used them"


def _named(session: Session, paths: Iterable[str]) -> str:
    """The first of them, as the plan names them."""
    inputs, every = session.run.store.header["inputs"], [Path(path) for path in paths]
    folders = [Path(inputs[side]) for side in ("sources", "exemplars")]
    names = [
        next((path.relative_to(folder).as_posix() for folder in folders if path.is_relative_to(folder)), str(path))
        for path in every[:SHOWN]
    ]
    return ", ".join([*names, f"and {len(every) - SHOWN} more"] if len(every) > SHOWN else names)
