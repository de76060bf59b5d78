"""What all verbs share: the terminal, errors as one line with an exit code, and options that several of them use."""

from __future__ import annotations

import functools
import inspect
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec

import typer

from flows.cli import completion
from flows.cli.answer import Answer, complain, err, errors, heeding, made, out, print_json, say, with_switches
from flows.cli.environment import blame
from flows.errors import Exit, debug_traceback, explain
from flows.remote import Place, has_copy, known_as
from flows.settings import MOST_WORKERS, Workers
from mgi.addresses import shown
from mgi.config import ConfigError
from storage.remote.address import checked, is_remote
from tasks.workers.dashboard import wanted
from tasks.workers.patience import PATIENCE, patience, require_address

__all__ = ["Answer", "complain", "err", "made", "out", "say"]  # beside what is defined here

P = ParamSpec("P")

WorkersOption = Annotated[
    str | None,
    typer.Option(
        "--workers",
        metavar="N|auto",
        help="Worker processes on this machine; 0 computes in this process. auto: one per GPU when there are several; "
        "on CPUs one per 8 cores and 4 GiB, and 0 below two of those.  [default: auto]",
    ),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option("--scheduler", metavar="ADDRESS", help="Dask scheduler to use instead, such as tcp://10.0.0.5:8786."),
]
PatienceOption = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="SECONDS", help=f"How long to wait while a scheduler has no worker.  [default: {PATIENCE}]"
    ),
]
DashboardOption = Annotated[
    bool, typer.Option("--dashboard", help="Print the address at which Dask shows what its workers do; needs bokeh.")
]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Folder of the run, or its address s3://BUCKET/NAME.")]
OutOption = Annotated[
    str,
    typer.Option(
        "--out",
        metavar="RUN",
        help="Folder of the run, or an address s3://BUCKET/NAME; one that is there is continued.",
    ),
]
FacesOption = Annotated[
    Literal["largest", "all"] | None,
    typer.Option(
        "--faces",
        help="Of a source photo of several people: the largest face, or one pair of each.  [default: largest]",
    ),
]
ExtendOption = Annotated[
    bool,
    typer.Option("--extend", help="Add what the folders hold and an existing run lacks; what it has stays."),
]
MetricsOption = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        metavar="NAMES|standard|none",
        autocompletion=completion.metrics,
        help="Metrics to measure results by, separated by commas; `mgi metrics` lists them.  "
        "[default: as the run was, or standard]",
    ),
]


RUNS = ("out_dir", "run")
PLACES = (*RUNS, "folder")
"""Parameters of verbs that are the place of a run, if they are text: what is worked on, and what may only be read."""


def guarded(verb: Callable[P, Answer | int | None]) -> Callable[P, None]:
    """Turn what a verb returns into output and exit code, and whatever it raises into one line and the right code.

    It gets the switches of `flows.cli.answer`.
    """
    own = inspect.signature(verb).parameters

    @functools.wraps(verb)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        named = next((str(kwargs[name]) for name in RUNS if kwargs.get(name)), None)
        switches = {name: bool(kwargs.pop(name, False)) for name in ("quiet", "as_json") if name not in own}
        try:
            local = {name: _place(name, value) for name, value in kwargs.items()}
            with heeding(switches.get("quiet", False), switches.get("as_json", False)):
                ended = verb(*args, **local)
            if isinstance(ended, Answer) and switches.get("as_json"):
                print_json(ended.fields)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except BrokenPipeError:  # `mgi status | head`: the reader has seen enough
            sys.stderr.close()
            raise typer.Exit(0) from None
        except (Exception, KeyboardInterrupt) as error:
            line, exit_code = explain(error, named and _begun(named))
            line = known_as(line)
            line = _printable(blame(line) if exit_code == Exit.USAGE else line)
            trace = debug_traceback(error)
            if trace:
                errors.print(shown(trace), markup=False)
            complain(f"mgi: {shown(line)}")
            raise typer.Exit(int(exit_code)) from None
        raise typer.Exit(int(ended.code if isinstance(ended, Answer) else ended or 0))

    run.__signature__ = with_switches(verb)  # type: ignore[attr-defined]  # what typer reads
    return run


def _place(name: str, value: Any) -> Any:
    """A parameter of a verb: the place of a run may be an address, every other path is one of this machine."""
    if isinstance(value, Path):
        return local_path(value)
    return run_place(value) if name in PLACES and isinstance(value, str) else value


def run_place(run: str) -> str:
    """The place of a run as typed: an address, or a folder with `~` for the home folder.

    Raises:
        storage.folders.InputError: an address that cannot be one. ConfigError: an address of another kind.
    """
    return checked(run) if is_remote(run) else str(local_path(Path(run)))


def _begun(run: str) -> str | None:
    """The place of a run, if there is one by now: what else could be continued?"""
    if is_remote(run):
        return run if has_copy(run) else None
    folder = os.path.expanduser(run)  # noqa: PTH111 - as local_path
    return folder if (Path(folder) / "run.json").is_file() else None


def local_path(path: Path) -> Path:
    """A path as typed, with `~` for the home folder: in `--out=~/x` a shell leaves it as it is.

    Raises:
        ConfigError: it is an address such as `s3://bucket/x`, which would become a folder `s3:` here.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(path)):
        address = str(path).replace(":/", "://", 1)
        raise ConfigError(f"{address}: expected a folder or file of this machine, not an address")
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path refuses an unknown ~user


def require_writable(folder: Path, option: str) -> None:
    """Say before the work that its results cannot be written. Raises ConfigError, which begins with the option."""
    folder = folder.absolute()
    there = next(above for above in (folder, *folder.parents) if above.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise ConfigError(f"{option}: {there} cannot be written to; name another place")


def parse_workers(text: str | None, default: Workers) -> Workers:
    """`--workers`, or the default if it is not given.

    Example:
        >>> parse_workers("3", "auto"), parse_workers(None, "auto")
        (3, 'auto')
    """
    if text is None:
        return default
    if text == "auto":
        return "auto"
    if not (text.isdecimal() and len(text) <= 9 and int(text) <= MOST_WORKERS):
        raise ConfigError(f"--workers {text}: expected a number such as 0 or 2, at most {MOST_WORKERS}, or auto")
    return int(text)


def _printable(line: str) -> str:
    """A message without what a terminal would obey, or what could not be encoded."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in line)


def tell_behind(place: Place) -> int:
    """Say that a run's address does not have all that was done, if so; returns the exit code."""
    if not place.behind:
        return int(Exit.DONE)
    complain(f"mgi: {place.address} is behind ({place.behind}); the next command publishes what is in {place.folder}")
    return int(Exit.FAILED)


def chosen_faces(faces: str | None) -> dict[str, str]:
    """The setting behind --faces; none if the option was not given."""
    return {} if faces is None else {"align.faces": faces}


def choose_cluster(
    workers: str | None, scheduler: str | None, settings: Any, seconds: int | None = None, dashboard: bool = False
) -> tuple[Workers, str | None]:
    """Workers and scheduler from the command line, else from the environment; the two options exclude each other.

    `seconds` is `--patience` and `dashboard` is `--dashboard`; both become those of the running command.
    """
    wanted.set(dashboard)
    patience.set(seconds if seconds is not None else settings.patience)
    if workers is not None and scheduler is not None:
        raise ConfigError("--workers and --scheduler exclude each other: a scheduler brings its own workers")
    if workers is not None:
        return parse_workers(workers, settings.workers), None
    chosen = scheduler or settings.scheduler
    if chosen is not None:
        require_address(chosen)
    return settings.workers, chosen
