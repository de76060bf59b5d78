"""What the benchmarks over many pairs share: variants of a profile from a command line, and results that are kept."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mgi.config import RunConfig
from mgi.profiles import load_config

ENDINGS = {".png", ".jpg", ".jpeg", ".webp"}
"""Pictures among a folder's files."""


def peak_gib() -> float:
    """The most memory that this process ever held. Not ru_maxrss, which begins at the peak of whoever started it."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 2**20


def variant(spec: str, profile: str, section: str, base: dict[str, str] | None = None) -> tuple[str, RunConfig]:
    """`NAME` or `NAME:key=value,...` as (NAME, configuration); keys without a dot are of `section`."""
    name, _, changes = spec.partition(":")
    overrides = dict(base or {})
    for change in _split(changes):
        key, _, value = change.partition("=")
        overrides[key if "." in key else f"{section}.{key}"] = value
    return name, load_config(profile, overrides)


def _split(changes: str) -> Iterator[str]:
    """At commas outside of brackets."""
    part, depth = "", 0
    for character in changes:
        depth += (character == "[") - (character == "]")
        if character == "," and not depth:
            yield part
            part = ""
        else:
            part += character
    if part:
        yield part


def lines_of(results: Path) -> list[dict[str, Any]]:
    """What was measured before."""
    if not results.is_file():
        return []
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
