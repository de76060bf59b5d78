"""Prefect's records of a command can fail; its work goes on, and the command ends by what the work did.

A flow notes here how its work ended. Whatever Prefect raises around that concerns its records alone.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from flows.stages import StageCall, stage_of_shard

Ended = TypeVar("Ended")
"""What a command ends with, a dataclass that has `unrecorded`."""


@dataclass
class Record:
    """How the work of the running flow stands."""

    begun: bool = False
    done: Any = None
    failed: Exception | None = None


_current: ContextVar[Record | None] = ContextVar("record", default=None)


def noted(work: Callable[[], Ended]) -> Ended:
    """Do the work of a flow and note how it ended."""
    record = _current.get() or Record()
    record.begun = True
    try:
        done = record.done = work()
    except Exception as error:
        record.failed = error
        raise
    return done


def watched(flow: Callable[[], Ended], plain: Callable[[], Ended]) -> Ended:
    """Call a flow; without its server the work is done all the same.

    Args:
        flow: calls the flow.
        plain: does the same work without Prefect, where the flow could not even begin.

    Raises:
        What the work raises.
    """
    record = Record()
    token = _current.set(record)
    try:
        return flow()
    except Exception as error:
        if record.failed is not None:
            raise record.failed from None
        if record.begun and record.done is None:
            raise
        why = " ".join(str(error).split()) or type(error).__name__
        return cast("Ended", replace(cast("Any", record.done or plain()), unrecorded=why))
    finally:
        _current.reset(token)


def still(task: StageCall) -> StageCall:
    """Runs stages as Prefect's task, and as they are from the moment when Prefect fails around one.

    A stage that began under the task and was done, or failed by itself, is not run again.
    """
    lost = False

    def call(stage: str, shard: int, pair_ids: list[str]) -> int:
        nonlocal lost
        if lost:
            return stage_of_shard(stage, shard, pair_ids)
        inner = Record()
        token = _stage.set(inner)
        try:
            return task(stage, shard, pair_ids)
        except Exception:
            if inner.failed is not None:
                raise inner.failed from None
            lost = True
            return stage_of_shard(stage, shard, pair_ids)  # the store knows what of it is done
        finally:
            _stage.reset(token)

    return call


def stage_noted(stage: str, shard: int, pair_ids: list[str]) -> int:
    """`stage_of_shard`, whose own errors are told from those of Prefect."""
    try:
        return stage_of_shard(stage, shard, pair_ids)
    except Exception as error:
        inner = _stage.get()
        if inner is not None:
            inner.failed = error
        raise


_stage: ContextVar[Record | None] = ContextVar("stage", default=None)
