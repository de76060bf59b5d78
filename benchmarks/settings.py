"""Variants of a profile written on a command line."""

from __future__ import annotations

from collections.abc import Iterator

from mgi.config import RunConfig, load_config


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
