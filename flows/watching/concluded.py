"""How a flow run ends at the Prefect server: its state, which automations see by name, and one line why.

| state | type | when | event |
|---|---|---|---|
| Completed | COMPLETED | all is done | `prefect.flow-run.Completed` |
| Quarantined | COMPLETED | done, but some pairs are in quarantine | `prefect.flow-run.Quarantined` |
| Regressed | FAILED | an evaluation got worse than its baseline | `prefect.flow-run.Regressed` |
| Failed | FAILED | the request cannot be carried out, or the work failed | `prefect.flow-run.Failed` |

`Quarantined` is of the type COMPLETED: the results and the report are there, and a failed run would be tried again,
which cannot help pictures that cannot be read. What cannot be carried out (a typing error, a RUN that another process
holds) is not tried again either; whatever else goes wrong is, because the store makes that safe.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from prefect import State, get_run_logger
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from flows.errors import Exit, explain
from flows.records import noted
from flows.remote import known_as
from mgi.addresses import shown
from storage.run_lock import RunLocked

Ended = TypeVar("Ended")


def concluded(
    work: Callable[[], Ended],
    conclude: Callable[[Ended, list[str]], State[Any]],
    after: Callable[[Ended], list[str]] = lambda ended: [],
) -> State[Any]:
    """Do the work of a flow run and say how it ended.

    Args:
        work: what is done; what it raises is either final, and becomes a state, or raised, and may be tried again.
        conclude: shows what came of it, with the lines of `after`, and names the state.
        after: what is done with the result, a line each; raises as `work` does.

    Raises:
        What the work raises, unless trying again cannot help.
    """
    try:
        ended = noted(work)
        more = after(ended)
    except Exception as error:
        line, code = explain(error)
        if code is Exit.USAGE or isinstance(error, RunLocked):
            return failed(shown(known_as(line)), error)
        if not line.startswith("internal error"):
            _run_logger().addFilter(OneLine(error))
        raise
    return conclude(ended, more)


def failed(line: str, error: Exception, name: str = "Failed") -> State[Any]:
    """A failure that is not tried again, in one line; a caller of the flow gets `error`."""
    get_run_logger().error(line)
    _run_logger().addFilter(OneLine(error, said=True))
    with get_client(sync_client=True) as client:
        policy = client.read_flow_run(flow_run.id).empirical_policy
        client.update_flow_run(flow_run.id, empirical_policy=policy.model_copy(update={"retries": 0}))
    return Failed(message=line, name=name, data=error)


def done(result: dict[str, Any], line: str, quarantined: int = 0) -> State[Any]:
    """Success, in one line; `Quarantined` if so many pairs are."""
    if not quarantined:
        return Completed(message=line, data=result)
    get_run_logger().warning(line)
    return Completed(name="Quarantined", message=line, data=result)


def log_failure(log: Any, show: Callable[[], None]) -> None:
    """Show artifacts; those that the server does not take cost a line, never the flow run."""
    try:
        show()
    except Exception as error:
        log.warning(f"an artifact is missing: {type(error).__name__}: {error}")


class OneLine(logging.Filter):
    """Keeps tracebacks of expected errors out of a flow run's log; they say all in their message.

    Args:
        error: which.
        said: its message is in the log already.
    """

    def __init__(self, error: Exception, said: bool = False) -> None:
        super().__init__()
        self._error, self._said = error, said

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record stays."""
        if not record.exc_info or record.exc_info[1] is not self._error:
            return True
        record.exc_info = record.exc_text = None
        return not self._said


def _run_logger() -> logging.Logger:
    """The logger of flow runs, which Prefect's engine also uses; `get_run_logger` wraps it."""
    return logging.getLogger("prefect.flow_runs")
