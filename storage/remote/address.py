"""Addresses of runs: what is one, and what it must look like."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from storage.folders import InputError

SCHEME = "s3://"
ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3")
ON = ("true", "1", "yes", "on", "t", "y")
_ENDPOINT = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?(/[\w./-]*)?")
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


def check_endpoint() -> None:
    """Check the address of the store itself, if it is not Amazon's: what `obstore` would not say in one line.

    Raises:
        InputError: it cannot be used.
    """
    for name in filter(os.environ.get, ENDPOINTS):
        endpoint = os.environ[name]
        if not _ENDPOINT.fullmatch(endpoint):
            raise InputError(f"{name}: expected an address such as https://host:9000, without user, password and query")
        if endpoint.startswith("http:") and os.environ.get("AWS_ALLOW_HTTP", "").lower() not in ON:
            raise InputError(f"{name} is http:// and so not encrypted; AWS_ALLOW_HTTP=true allows it")


NOTE = "address"
"""A file beside a copy: its address."""


def called(folder: Path) -> str:
    """What the user calls the run in a folder: its address if it is the copy of a remote one, else the folder."""
    try:
        return (folder.parent / NOTE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return str(folder)


def short_name(address: str) -> str:
    """A name for the address's folder on this machine.

    Example:
        >>> short_name("s3://bucket/runs/first")
        'first-3ecffbecf983'
    """
    end = re.sub(r"[^A-Za-z0-9._-]", "_", address.rpartition("/")[2])[:40].lstrip(".")
    return f"{end}-{hashlib.sha256(address.encode()).hexdigest()[:12]}"
