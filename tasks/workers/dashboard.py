"""The address of the page on which Dask shows what its workers do."""

from __future__ import annotations

import socket
from contextvars import ContextVar
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client

PORT = 8787
"""Dask's usual one; a local cluster takes another if it is taken."""
NEEDS = "it needs the package bokeh: pip install 'bokeh>=3.1'"

wanted: ContextVar[bool] = ContextVar("dashboard", default=False)
"""`--dashboard` of the running command; not an argument, for the reason given in `tasks.workers.patience`."""

NO_CLUSTER = "note: no dashboard: this command computes in its own process; take --workers 1 or --scheduler"


def local_options() -> dict[str, object]:
    """Options of a local scheduler: with its pages if the user wants them and bokeh is here, else without."""
    if not (wanted.get() and find_spec("bokeh")):
        return {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
    return {"dashboard": True, "dashboard_address": f"127.0.0.1:{_free(PORT)}"}


def dashboard_line(client: Client, scheduler: str | None) -> str:
    """Where the dashboard is, or why there is none, in one line.

    Args:
        client: connected to the scheduler.
        scheduler: its address as the user gave it; None: this command's own.
    """
    where = "this command's cluster" if scheduler is None else f"the scheduler at {scheduler.rpartition('@')[2]}"
    if scheduler is None and not find_spec("bokeh"):
        return f"note: {where} has no dashboard: {NEEDS}"
    found: Any = client.get_versions(packages=["bokeh"])
    if not found["scheduler"]["packages"].get("bokeh"):
        return f"note: {where} has no dashboard: {NEEDS}, where the scheduler runs"
    try:
        link = client.dashboard_link
    except (KeyError, ValueError):  # a scheduler without its web server has no such service
        link = None
    if not link:
        return f"note: {where} was started without a dashboard"
    there = _answers(link)
    if there is None:
        return f"dashboard: {link} (does not answer from this machine)"
    return f"dashboard: {link}" if there else f"note: {where} was started without a dashboard"


def _answers(link: str) -> bool | None:
    """Whether there is a dashboard at an address; None: nobody answers."""
    import requests

    try:
        return requests.get(link, timeout=15).ok
    except requests.RequestException:
        return None


def _free(port: int) -> int:
    """The port if it is free, else 0, for which the system chooses one."""
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port
