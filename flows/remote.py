"""Commands on a run at an address such as `s3://bucket/run`: they work in a copy on this machine, which is published.

A command on a folder passes through here without a trace.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

from platformdirs import user_cache_dir

from flows.settings import load_settings
from storage.remote.address import checked, is_remote

if TYPE_CHECKING:
    from flows.pipeline import Summary
    from storage.remote.mirror import Mirror, Options

P = ParamSpec("P")

_current: ContextVar[Mirror | None] = ContextVar("mirror", default=None)
_known_as: dict[str, str] = {}
"""Folders of this machine, and the addresses that the user gave for them."""


@dataclass
class Place:
    """Where a run is worked on, and what it is called."""

    folder: str
    address: str
    behind: str | None = None
    """After the work: why the address does not have all of it, if so."""
    mirror: Mirror | None = None


def options() -> Options:
    """What the environment says about remote runs."""
    from storage.remote.mirror import Options

    settings = load_settings()
    cache = settings.remote_cache or Path(user_cache_dir("mgi")) / "remote"
    return Options(cache.expanduser(), settings.remote_seconds, settings.remote_patience, settings.remote_lease)


@contextlib.contextmanager
def working_folder(run: str, say: Callable[[str], None], new: bool = False, **how: Any) -> Iterator[Place]:
    """The folder to work on a run in: its own, or the copy of a remote one, which is published at the end.

    Args:
        run: folder or address.
        say: gets told what the user should know.
        new: whether a run may begin at the address.
        how: as of `storage.remote.mirror.open_mirror`.
    """
    if not is_remote(run):
        yield Place(run, run)
        return
    from storage.remote.mirror import open_mirror

    address, chosen = checked(run), options()
    home = chosen.home(address)
    _known_as.update({str(home / "run"): address, str(home): address})
    with open_mirror(address, chosen, say, new, **how) as mirror:
        place, token = Place(str(mirror.path), address, mirror=mirror), _current.set(mirror)
        try:
            yield place
        finally:
            _current.reset(token)
    place.behind = mirror.behind


@contextlib.contextmanager
def viewed_folder(run: str, new: bool = False) -> Iterator[str]:
    """The folder to look at a run in: its own, or one with what is published of a remote run, without its arrays.

    Args:
        run: folder or address.
        new: whether there may be none.
    """
    if not is_remote(run):
        yield run
        return
    from storage.remote.view import open_view

    address, chosen = checked(run), options()
    view = chosen.home(address) / "view"
    _known_as[str(view)] = address
    with open_view(address, chosen, new) as folder:
        yield str(folder)


def publish(if_due: bool = True) -> None:
    """Publish the copy that this command works in, if there is one and it is time, or at once.

    Raises:
        storage.remote.lease.LeaseLost: another process has taken the run over.
    """
    mirror = _current.get()
    if mirror is not None and (mirror.due() or not if_due):
        mirror.publish()


def on_working_folder(new: bool = False) -> Callable[[Callable[P, Summary]], Callable[P, Summary]]:
    """Let a function that works on `run`, and tells an `observer`, also take an address for it.

    Args:
        new: whether a run may begin at the address.
    """

    def wrapped(work: Callable[P, Summary]) -> Callable[P, Summary]:
        signature = inspect.signature(work)

        @functools.wraps(work)
        def there(*args: P.args, **kwargs: P.kwargs) -> Summary:
            given = signature.bind(*args, **kwargs)
            run = given.arguments["run"]
            if not is_remote(run):
                return work(*args, **kwargs)
            with working_folder(run, given.arguments["observer"].say, new) as place:
                given.arguments["run"] = place.folder
                summary = work(*given.args, **given.kwargs)
            report = summary.report and known_as(summary.report)
            return replace(summary, run=place.address, report=report, copy=place.folder, behind=place.behind)

        return there

    return wrapped


def has_copy(address: str) -> bool:
    """Whether this command works in a copy of a remote run that has begun."""
    folders = [folder for folder, known in _known_as.items() if known == address.rstrip("/")]
    return any((Path(folder) / "run.json").is_file() for folder in folders)


def known_as(text: str) -> str:
    """A message with the addresses that the user gave, instead of folders of copies."""
    for folder, address in _known_as.items():
        text = text.replace(folder, address)
    return text
