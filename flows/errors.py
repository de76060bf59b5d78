"""Exit codes, and the one line that an error becomes."""

from __future__ import annotations

import os
import sys
import traceback
from enum import IntEnum

from mgi.config import ConfigError


class Exit(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    QUARANTINED = 3
    INTERRUPTED = 130


DEBUG = "MGI_DEBUG"
"""Set to any text to see the traceback of an error."""


def explain(error: BaseException, run: str | None = None) -> tuple[str, Exit]:
    """The line to print for an exception that ended a command, and the exit code.

    Args:
        error: what was raised.
        run: folder of the run, when there is one: errors that can be fixed then say how to continue.
    """
    from tasks.unit import is_disk_full, one_line

    resume = f"; then `mgi resume {run}` continues it" if run else ""
    if isinstance(error, KeyboardInterrupt):
        return f"interrupted{f'; `mgi resume {run}` continues where it stopped' if run else ''}", Exit.INTERRUPTED
    if isinstance(error, _usage_errors()):
        return _message(error), Exit.USAGE
    if is_disk_full(error):
        return f"no space left: {one_line(error)}; free some space{resume}", Exit.FAILED
    if isinstance(error, MemoryError):
        return f"out of memory; use fewer workers or --set inversion.num_codes=[10]{resume}", Exit.FAILED
    if isinstance(error, _cluster_error()):
        return f"{one_line(error)}{resume}", Exit.FAILED
    if isinstance(error, (OSError, *_expected_errors())):
        return one_line(error), Exit.FAILED
    return f"internal error: {one_line(error)}; {DEBUG}=1 shows where", Exit.FAILED


def debug_traceback(error: BaseException) -> str | None:
    """The traceback, for users who asked for it."""
    if not os.environ.get(DEBUG):
        return None
    return "".join(traceback.format_exception(error))


def _message(error: BaseException) -> str:
    from storage.run_header import RunConflict
    from tasks.unit import one_line

    # A refused configuration is the only error of several lines: every difference has its own.
    return str(error) if isinstance(error, RunConflict) else one_line(error)


def _usage_errors() -> tuple[type[BaseException], ...]:
    from storage.folders import InputError
    from storage.run_header import NoRun, RunConflict
    from storage.training_store import TrainingConflict

    errors: list[type[BaseException]] = [ConfigError, InputError, NoRun, RunConflict, TrainingConflict]
    generators = sys.modules.get("mgi.generators.base")  # imports PyTorch; the code that raised its error has loaded it
    return (*errors, generators.GeneratorError) if generators else tuple(errors)


def _cluster_error() -> type[BaseException]:
    from tasks.workers.watch import ClusterError

    return ClusterError


def _expected_errors() -> tuple[type[BaseException], ...]:
    from mgi.weights import WeightsError
    from storage.run_lock import RunLocked
    from storage.run_store import StoreCorrupt

    errors: list[type[BaseException]] = [WeightsError, RunLocked, StoreCorrupt]
    # Of modules that take long to import: the code that raised such an error has loaded its module. In runs, pictures
    # that cannot be used are set aside; commands on single pictures end with them.
    late = [("mgi.training.errors", "TrainingError"), ("storage.images", "BadImage"), ("mgi.alignment", "NoFace")]
    errors += [getattr(sys.modules[module], name) for module, name in late if module in sys.modules]
    return tuple(errors)
