"""`root.json`: the one object whose replacement publishes, and the fence against processes that lost their lease.

It lists manifests and carries the token of the lease under which it was written. Whoever takes the lease first writes
the root again with the new token. From then on the etag that an older process remembers is not the root's any more, and
the store refuses what it wants to publish, however late its request arrives and whatever its clock says.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field, replace
from typing import Any

from storage.remote.bucket import Bucket, RemoteError
from storage.remote.lease import Lease, lost
from storage.seal import sealed

NAME = "root.json"
FORMAT = 1
"""Version of everything below a remote run's address."""
ADVICE = "bring it back from a version that the store kept, or start again at another address"


@dataclass(frozen=True)
class Listed:
    """One manifest: its object, the hash of its content, and how many paths it has."""

    name: str
    sha256: str
    count: int


@dataclass(frozen=True)
class Root:
    """What is published."""

    token: int = 0
    manifests: tuple[Listed, ...] = ()
    """Later ones win."""
    nonce: str = field(default_factory=lambda: secrets.token_hex(8))
    """No two roots have the same bytes, so no two have the same etag."""

    @property
    def state(self) -> str:
        """A name for what is published; manifests are never changed, so it says all."""
        return hashlib.sha256(" ".join(listed.name for listed in self.manifests).encode()).hexdigest()

    def as_bytes(self) -> bytes:
        """The object."""
        listed = [[one.name, one.sha256, one.count] for one in self.manifests]
        return sealed({"format": FORMAT, "token": self.token, "manifests": listed, "nonce": self.nonce})


def read_root(bucket: Bucket) -> tuple[Root, str] | None:
    """The root at an address and its etag; None if there is none.

    Raises:
        RemoteError: it is damaged, or a newer version wrote it.
    """
    found = bucket.read_sealed(NAME, ADVICE)
    return found and (_root(bucket, found[0]), found[1])


def claim(bucket: Bucket, lease: Lease) -> tuple[Root, str]:
    """Write the root again under a new lease; returns it and its etag. From now on no older lease publishes.

    Raises:
        LeaseLost: a still newer lease was faster.
    """
    while True:
        root, etag = read_root(bucket) or (Root(), None)
        if root.token > lease.token:
            raise lost(bucket.address)
        mine = replace(root, token=lease.token, nonce=secrets.token_hex(8))
        written = bucket.swap(NAME, mine.as_bytes(), etag)
        if written:
            return mine, written


def publish(bucket: Bucket, root: Root, etag: str) -> str:
    """Replace the root that has this etag; returns the new etag.

    Raises:
        LeaseLost: somebody with a newer token has replaced it.
    """
    while True:
        written = bucket.swap(NAME, root.as_bytes(), etag)
        if written:
            return written
        found, etag = read_root(bucket) or (Root(), "")
        if found.token != root.token:
            raise lost(bucket.address)
        # A request of our own that was thought lost has come late; what it published is part of this.


def _root(bucket: Bucket, content: dict[str, Any]) -> Root:
    number = content.get("format")
    if number != FORMAT:
        raise RemoteError(
            f"{bucket.address} is of format {number}, and this version of mgi reads format {FORMAT}; use the version "
            "that wrote it, or another address"
        )
    return Root(content["token"], tuple(Listed(*one) for one in content["manifests"]), content["nonce"])
