"""Markers of a run, wherever they are kept, and taking some of them back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from storage.run_store import RunStore


def markers(run: Path, stage: str) -> dict[str, dict[str, Any]]:
    """{key: content} of a stage's markers."""
    store = RunStore.open(run)
    found = {key: store.marker(stage, key) for key in sorted(store.keys_done(stage))}
    names = ("pair_index", "arrays", "files", "payload")  # without the machine's start, which packed ones do not need
    return {key: {name: content[name] for name in names} for key, content in found.items() if content is not None}


def payloads(run: Path, stage: str) -> dict[str, dict[str, Any]]:
    """{key: payload} of a stage's markers."""
    return {key: content["payload"] for key, content in markers(run, stage).items()}


def every_marker(run: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """{(stage, key): content} of all markers of pairs."""
    stages = RunStore.open(run).markers.stages()
    found = {(stage, key): content for stage in stages for key, content in markers(run, stage).items()}
    return {unit: content for unit, content in found.items() if unit[0] != "report"}


def change(run: Path, stage: str, edit: Callable[[dict[str, Any]], None]) -> None:
    """Edit the content of a stage's markers and publish them again, as files of their own."""
    store = RunStore.open(run)
    for key, content in markers(run, stage).items():
        edit(content)
        store.markers.write(stage, key, content)


def forget(run: Path, stage: str, *keys: str) -> None:
    """Take units back, as a killed command leaves them."""
    RunStore.open(run).forget(stage, *keys)
