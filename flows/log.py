"""RUN/log.jsonl: one JSON line per event of a run, to see later what happened when. It holds no password."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from mgi.addresses import shown


@contextmanager
def run_log(run: str) -> Iterator[Any]:
    """A structlog logger that appends to the run's log; the flow's process is its only writer."""
    path = Path(run) / "log.jsonl"
    torn = path.exists() and path.stat().st_size > 0 and not _ends_with_newline(path)
    with path.open("a", encoding="utf-8", buffering=1) as file:
        if torn:  # a killed process left half a line; keep it from spoiling the next
            file.write("\n")
        yield structlog.wrap_logger(
            structlog.WriteLogger(file),
            processors=[
                structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
                _without_secrets,
                structlog.processors.JSONRenderer(default=str),
            ],
        )


def ended_well(run: str) -> bool:
    """Whether the last command that wrote the run's log came to its end; also if there was none."""
    path = Path(run) / "log.jsonl"
    if not path.exists():
        return True
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2**16))
        lines = file.read().splitlines()
    return not lines or _event(lines[-1]).get("event") == "finished"


def events(run: str) -> Iterator[dict[str, Any]]:
    """What the run's log says, from its start; lines that a killed process tore are left out."""
    with (Path(run) / "log.jsonl").open("rb") as file:
        yield from filter(None, map(_event, file))


def _event(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and "event" in found else {}


def _without_secrets(logger: Any, method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    return {name: shown(value) if isinstance(value, str) else value for name, value in event.items()}


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
