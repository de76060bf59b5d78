"""What all verbs share: the terminal, errors as one line with an exit code, and options that several of them use."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Annotated, Any, ParamSpec

import typer
from rich.console import Console

from flows.cli.environment import blame
from flows.errors import Exit, debug_traceback, explain
from flows.settings import Workers
from mgi.addresses import shown
from mgi.config import ConfigError

P = ParamSpec("P")

out = Console(highlight=False, soft_wrap=True)
"""Results: what the user asked for, and what scripts read."""
err = Console(stderr=True, highlight=False, soft_wrap=True)
"""Progress, warnings and errors."""

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

ExtendOption = Annotated[
    bool,
    typer.Option("--extend", help="Add what the folders hold and an existing run lacks; what it has stays."),
]
MetricsOption = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        metavar="NAMES|standard|none",
        help="Metrics to measure results by, separated by commas; `mgi metrics` lists them.  "
        "[default: as the run was, or standard]",
    ),
]


def guarded(verb: Callable[P, int | None]) -> Callable[P, None]:
    """Turn a verb's return value into the exit code, and whatever it raises into one line and the right code."""

    @functools.wraps(verb)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        folder = next((str(kwargs[name]) for name in ("out_dir", "run") if kwargs.get(name)), None)
        try:
            code = verb(*args, **kwargs)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except BrokenPipeError:  # `mgi status | head`: the reader has seen enough
            sys.stderr.close()
            raise typer.Exit(0) from None
        except (Exception, KeyboardInterrupt) as error:
            line, exit_code = explain(error, folder)
            line = blame(line) if exit_code == Exit.USAGE else line
            trace = debug_traceback(error)
            if trace:
                err.print(shown(trace), markup=False)
            err.print(f"mgi: {shown(line)}", markup=False)
            raise typer.Exit(int(exit_code)) from None
        raise typer.Exit(int(code or 0))

    return run


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
    if not text.isdecimal():
        raise ConfigError(f"--workers {text}: expected a number such as 0 or 2, or auto")
    return int(text)


def choose_cluster(workers: str | None, scheduler: str | None, settings: Any) -> tuple[Workers, str | None]:
    """Workers and scheduler from the command line, else from the environment; the two options exclude each other."""
    if workers is not None and scheduler is not None:
        raise ConfigError("--workers and --scheduler exclude each other: a scheduler brings its own workers")
    if workers is not None:
        return parse_workers(workers, settings.workers), None
    return settings.workers, scheduler or settings.scheduler
