"""How long a command waits for workers of a scheduler, and which addresses a scheduler can have."""

from __future__ import annotations

import re
from contextvars import ContextVar

from mgi.config import ConfigError

PATIENCE = 600
"""Seconds without any worker after which a command ends, unless `--patience` says otherwise."""
NOTICE = 30.0
"""Seconds without any worker after which the user is told."""

patience: ContextVar[int] = ContextVar("patience", default=PATIENCE)
"""`--patience` of the running command. Not an argument: between the command line and the pool lie functions to which
it means nothing."""

_ADDRESS = re.compile(r"(?:(?:tcp|tls|ws|wss|ucx)://)?(?:[^\s/@]+@)?(?:[\w.-]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})", re.ASCII)


def require_address(scheduler: str) -> None:
    """Check that text can be the address of a Dask scheduler.

    Raises:
        ConfigError: it cannot.
    """
    found = _ADDRESS.fullmatch(scheduler)
    if not found or not 0 < int(found[1]) < 2**16:
        shown = scheduler.rpartition("@")[2]  # before it could be a password
        raise ConfigError(f"--scheduler {shown}: expected an address with a port, such as tcp://10.0.0.5:8786")
