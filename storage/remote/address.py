"""Addresses of runs: what is one, and what it must look like."""

from __future__ import annotations

import hashlib
import re

from storage.folders import InputError

SCHEME = "s3://"
_WHOLE = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<prefix>[^\s?#@\\]+)")


def is_remote(place: str) -> bool:
    """Whether a run's place is an address and no folder."""
    return place.startswith(SCHEME)


def checked(address: str) -> str:
    """The address as messages show it, without a slash at its end.

    Raises:
        InputError: it does not name a place inside a bucket. Keys in it are refused: they belong into AWS_* variables.

    Example:
        >>> checked("s3://bucket/runs/first/")
        's3://bucket/runs/first'
    """
    whole = address.rstrip("/")
    found = _WHOLE.fullmatch(whole)
    if not found or not whole.isprintable() or any(part in ("", ".", "..") for part in found["prefix"].split("/")):
        hidden = re.sub(r"//.*@", "//***@", address)
        raise InputError(f"expected an address such as s3://bucket/runs/first, found {hidden}")
    return whole


def short_name(address: str) -> str:
    """A name for the address's folder on this machine.

    Example:
        >>> short_name("s3://bucket/runs/first")
        'first-3ecffbecf983'
    """
    end = re.sub(r"[^A-Za-z0-9._-]", "_", address.rpartition("/")[2])[:40].lstrip(".")
    return f"{end}-{hashlib.sha256(address.encode()).hexdigest()[:12]}"
