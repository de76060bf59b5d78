"""A remote run at work: its copy on this machine, the lease, and when the copy is published."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from storage.atomic import write_text
from storage.remote.address import NOTE, short_name
from storage.remote.bucket import PATIENCE, Bucket, RemoteError
from storage.remote.download import Damaged
from storage.remote.index import Index, open_index
from storage.remote.lease import SECONDS, Lease, LeaseLost
from storage.remote.pull import pull
from storage.remote.push import push
from storage.remote.root import Root, claim, read_root
from storage.remote.sweep import sweep
from storage.run_header import NoRun
from storage.run_lock import run_lock

SHARE = 20
"""The work between two pushes takes at least so many times as long as a push, which looks at every file: whatever the
size of the run, a twentieth of the time at most goes into it."""


@dataclass(frozen=True)
class Options:
    """How remote runs are kept."""

    cache: Path
    """Folder of the copies; with workers on other machines, one that they see under the same path."""
    seconds: float = 60.0
    """Shortest time between two pushes."""
    patience: float = PATIENCE
    lease: float = SECONDS

    def home(self, address: str) -> Path:
        """Where the copy of a run is, with what is known about it."""
        return self.cache.resolve() / short_name(address)


class Mirror:
    """A copy that this process works in."""

    def __init__(
        self, bucket: Bucket, path: Path, index: Index, lease: Lease, held: tuple[Root, str], seconds: float
    ) -> None:
        self.bucket, self.path, self.index = bucket, path, index
        self.behind: str | None = None
        """Why the address does not have all that the copy has, if so."""
        self._lease, (self._root, self._etag) = lease, held
        self._pushes, self._took, self._seconds = 0, 0.0, seconds
        self._last = time.monotonic()

    def due(self) -> bool:
        """Whether enough time has passed since the last push. Raises LeaseLost: another process has taken over."""
        self._lease.check()
        return time.monotonic() - self._last >= max(self._seconds, SHARE * self._took)

    def publish(self) -> None:
        """Publish what is new in the copy; if the store fails, `behind` says why, and the work may go on.

        Raises:
            LeaseLost: another process has taken over; nothing was published.
        """
        start, self._pushes = time.monotonic(), self._pushes + 1
        try:
            self._lease.check()
            name = f"{self._lease.name}/{self._pushes:06d}"
            self._root, self._etag = push(self.bucket, self.path, self.index, self._root, self._etag, name)
            self.behind = None
        except LeaseLost:
            raise
        except RemoteError as error:
            self.behind = str(error)
        self._last = time.monotonic()
        self._took = self._last - start

    def finish(self) -> None:
        """Publish all, and remove what nothing refers to any more. Raises LeaseLost."""
        before = self._root
        self.publish()
        if self.behind is None:
            self.index.note(dirty=False)
            if self._root != before or self._pushes > 1:
                try:
                    sweep(self.bucket, self.index, self._root)
                except RemoteError:  # the next command does it
                    return


@contextmanager
def open_mirror(
    address: str,
    options: Options,
    say: Callable[[str], None],
    new: bool = False,
    damaged: Callable[[str, str], None] | None = None,
    writes: bool = True,
) -> Iterator[Mirror]:
    """Be the only process that works on a remote run, in a copy that has what is published.

    Args:
        address: the run's.
        options: where the copy is, and how often it is published.
        say: gets told what the user should know.
        new: whether a run may begin here.
        damaged: told about each published file that cannot be brought; without it the first one is an error.
        writes: whether what changes in the copy is published, at the latest at the end, however that comes about.

    Raises:
        NoRun: there is none. storage.run_lock.RunLocked: another process works on it. LeaseLost: another process took
            over while this one could not be seen. RemoteError: the store refuses or does not answer.
    """
    bucket, home = Bucket(address, options.patience), options.home(address)
    found = read_root(bucket)
    if found is None and not new:
        raise NoRun(f"{address} holds no run (it has no root.json); start one with `mgi translate`")
    home.mkdir(parents=True, exist_ok=True)
    write_text(home / NOTE, address)
    with run_lock(home), closing(open_index(home / "index.sqlite")) as index:
        lease = Lease.take(bucket, found[0].token if found else 0, options.lease)
        try:
            held = claim(bucket, lease)
            path = home / "run"
            moved = pull(bucket, path, home / "aside", index, held[0], damaged or _refuse)
            if moved:
                where = home / "aside"
                say(f"note: {moved} files here were never published, and the run went on elsewhere: see {where}")
            mirror = Mirror(bucket, path, index, lease, held, options.seconds)
            if not writes:
                yield mirror
                return
            index.note(dirty=True)
            try:
                yield mirror
            except LeaseLost:
                raise
            except BaseException:
                _finish_at_best(mirror, address, say)
                raise
            mirror.finish()
        finally:
            lease.release()


def _finish_at_best(mirror: Mirror, address: str, say: Callable[[str], None]) -> None:
    """Publish what a command did that failed or was interrupted; how it ended matters more than whether this works."""
    try:
        mirror.finish()
    except LeaseLost as error:
        mirror.behind = str(error)
    if mirror.behind:
        say(f"note: {address} is behind ({mirror.behind}); the next command publishes what is here")


def _refuse(path: str, said: str) -> None:
    raise Damaged(f"{path}: {said}; `mgi verify RUN --repair` forgets what is damaged")
