"""What the benchmarks over many pairs share: variants of a profile from a command line, and how they are run."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from mgi.config import ConfigError, RunConfig
from mgi.profiles import load_config
from storage.folders import InputError
from storage.run_header import RunConflict


def translate_into(
    run: Path,
    sources: Path,
    exemplars: Path | None,
    profile: str,
    pairing: str = "zip",
    overrides: dict[str, str] | None = None,
    method: str | None = None,
) -> None:
    """`mgi translate`, or `mgi invert` where there are no exemplars, into the folder `run`, in this process.

    A run that is there already continues, and one that is finished computes nothing.

    Raises:
        SystemExit: the configuration or the folders cannot be used, or `run` holds another run.
    """
    from flows.arguments import Arguments
    from flows.pipeline import request_of, translate_run
    from flows.progress import Lines

    print(run, flush=True)
    try:
        asked = Arguments(
            "translate" if exemplars else "invert",
            str(sources),
            str(exemplars or ""),
            profile,
            pairing,
            overrides=overrides or {},
            method=method,
        )
        translate_run(
            request_of(asked), str(run), workers=0, scheduler=None, observer=Lines(partial(print, flush=True))
        )
    except (ConfigError, InputError, RunConflict) as error:
        raise SystemExit(str(error)) from None


def peak_gib() -> float:
    """The most memory that this process ever held. Not ru_maxrss, which begins at the peak of whoever started it."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 2**20


def changes_of(spec: str, section: str) -> tuple[str, dict[str, str]]:
    """`NAME` or `NAME:key=value,...` as (NAME, configuration keys); keys without a dot are of `section`."""
    name, _, changes = spec.partition(":")
    pairs = (change.partition("=") for change in _split(changes))
    return name, {key if "." in key else f"{section}.{key}": value for key, _, value in pairs}


def variant(spec: str, profile: str, section: str, base: dict[str, str]) -> tuple[str, RunConfig]:
    """As `changes_of`, laid over `base` and the profile: (NAME, configuration)."""
    name, changes = changes_of(spec, section)
    return name, load_config(profile, base | changes)


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
