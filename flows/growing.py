"""Growing a run by command: what was decided is written into its folder, and reported in a line each."""

from __future__ import annotations

from flows.progress import Observer
from flows.session import ask_layout
from flows.settings import Workers
from storage.run_changes import HYPOTHESES, told
from storage.run_store import RunStore
from tasks.grow import grow
from tasks.growth import Growth


def grow_run(store: RunStore, growth: Growth, workers: Workers, scheduler: str | None, observer: Observer) -> None:
    """Add pairs, hypotheses or another choice to a run; the next command that opens it for work does what is then left.

    Args:
        store: the run, as the growth was decided on.
        growth: what is added.
        workers, scheduler: where networks are loaded to see what new hypotheses keep; nothing else needs them.
        observer: gets told what was added.

    Raises:
        storage.run_store.RunLocked: another process works on it. RunConflict: another process changed it since.
    """
    with store.lock():
        layout = None
        if growth.added(HYPOTHESES):
            config, threads = growth.config(store.header, str(store.path)), store.header.get("threads")
            layout, _ = ask_layout(config, threads, workers, scheduler, observer)
        grown = grow(store, growth, layout)
    for change in grown.header["changes"][len(store.header["changes"]) :]:
        observer.say(told(change))
