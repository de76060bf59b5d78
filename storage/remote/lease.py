"""`lease.json`: who works on a remote run, and the token that says in which order they did.

The lease keeps two commands from working at once. It cannot keep a process that slept through its end from waking up:
that is what the token in `root.json` is for (`storage.remote.root`).
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from typing import Any

from storage.boot import boot_id
from storage.parts import lives_here, place
from storage.remote.bucket import Bucket, RemoteError
from storage.run_lock import RunLocked
from storage.seal import sealed

NAME = "lease.json"
ADVICE = "delete it if no command works on the run"
SECONDS = 120.0
"""How long a lease holds after it was taken or renewed. It is renewed four times as often."""


class LeaseLost(RemoteError):
    """Somebody else works on the run by now; one line."""


class Lease:
    """A lease that this process holds, renewed by a thread until `release`. Make it with `take`."""

    def __init__(self, bucket: Bucket, token: int, seconds: float) -> None:
        self.token = token
        self._bucket, self._seconds = bucket, seconds
        self._id, self._renewals, self._etag = secrets.token_hex(8), 0, ""
        self._lost = threading.Event()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    @property
    def name(self) -> str:
        """A name that no other lease has, not even one at an address whose objects were all deleted."""
        return f"{self.token:08d}-{self._id}"

    @classmethod
    def take(cls, bucket: Bucket, least: int, seconds: float = SECONDS) -> Lease:
        """Take the lease of the run at an address.

        Args:
            bucket: the address.
            least: a token that was used before; the new one is larger.
            seconds: how long it holds without being renewed.

        Raises:
            RunLocked: somebody else holds it; the message names them. RemoteError: the store refuses, or does not
                heed conditions, without which nothing here is safe.
        """
        for _ in range(5):
            held, etag = bucket.read_sealed(NAME, ADVICE) or ({"free": True, "token": 0}, None)
            if not (held["free"] or held["expires"] < time.time() or _is_dead(held)):
                raise _locked(bucket, held)
            lease = cls(bucket, max(int(held["token"]), least) + 1, seconds)
            if lease._swap(etag):
                lease._require_conditions()
                lease._thread.start()
                return lease
        raise RunLocked(f"{bucket.address} is being taken by others at this moment; try again")

    def check(self) -> None:
        """Make sure that nobody else has taken over. Raises LeaseLost."""
        if self._lost.is_set():
            raise lost(self._bucket.address)

    def release(self) -> None:
        """Let the next command begin at once. Without an answer of the store it waits for the lease's end."""
        self._end.set()
        self._thread.join()
        if not self._lost.is_set():
            try:
                self._swap(self._etag, free=True)
            except RemoteError:
                return

    def _swap(self, etag: str | None, free: bool = False) -> bool:
        self._renewals += 1
        etag = self._bucket.swap(NAME, self._as_bytes(free), etag)
        self._etag = etag or self._etag
        return etag is not None

    def _as_bytes(self, free: bool = False) -> bytes:
        content = {"format": 1, "token": self.token, "id": self._id, "renewals": self._renewals, "free": free}
        who = {"host": socket.gethostname(), "pid": os.getpid(), "place": _here()}
        return sealed({**content, **who, "expires": time.time() + self._seconds})

    def _require_conditions(self) -> None:
        found = self._bucket.read(NAME)
        if found is None or found.etag != self._etag or not self._bucket.keeps_conditions(NAME, found.data):
            raise RemoteError(
                f"{self._bucket.address}: the store does not heed If-Match and If-None-Match when it writes; use one "
                "that does, or a folder"
            )

    def _renew(self) -> None:
        while not self._end.wait(self._seconds / 4):
            try:
                if not self._swap(self._etag) and not self._is_ours():
                    self._lost.set()
                    return
            except RemoteError:  # the next time may do; if somebody else takes the lease meanwhile, it will say so
                continue

    def _is_ours(self) -> bool:
        """Whether the lease is this one after all: a renewal whose answer was lost may have come late."""
        content, etag = self._bucket.read_sealed(NAME, ADVICE) or ({}, "")
        if content.get("id") != self._id:
            return False
        self._etag = etag
        return True


def lost(address: str) -> LeaseLost:
    """The error of a process that no longer may publish."""
    return LeaseLost(
        f"{address} was taken over by another command while this one could not be seen; nothing is published any more"
    )


def _here() -> str | None:
    """Where a process number means the same as here; machines may share a name, so their start is part of it."""
    started = boot_id()
    return started and f"{place()} {started}"


def _is_dead(held: dict[str, Any]) -> bool:
    """Whether the holder was a process of this machine that lives no more: nobody need wait for its lease's end."""
    return _here() is not None and held.get("place") == _here() and not lives_here(int(held.get("pid", 0)))


def _locked(bucket: Bucket, held: dict[str, Any]) -> RunLocked:
    left = max(1, round(held["expires"] - time.time()))
    return RunLocked(
        f"{bucket.address} is being written by process {held.get('pid')} on {held.get('host')}; wait for it or stop it "
        f"(its lease ends in {left} s unless it is renewed)"
    )
