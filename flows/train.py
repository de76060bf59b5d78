"""The flow `train-generator` as Prefect sees it: progress, samples, scores and the card as artifacts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from prefect import State, flow, get_run_logger
from pydantic import Field

from flows.dates import dated, today
from flows.training import generator_config
from flows.watching.artifacts import Place, show_table, show_text
from flows.watching.choices import Count, Folder, Seed
from flows.watching.concluded import concluded, done, log_failure
from flows.watching.published import kept_up
from flows.watching.run_names import named
from storage.training_store import TrainingStore

if TYPE_CHECKING:
    from tasks.train_generator import TrainingResult

LINE_PERIOD = 30.0
"""Seconds between two lines in the flow run's log."""
Objective = Literal["minimax", "non-saturating", "least-squares", "wgan", "wgan-gp", "hinge"]


class Steps:
    """A `tasks.training_runs.Watcher` whose progress is kept up to date at the server."""

    says = "Samples of the generator so far"

    def __init__(self, model: Path, log: Any) -> None:
        self.percent, self.text = 0.0, "reading pictures"
        self._model, self._log, self._next = model, log, 0.0

    @property
    def picture(self) -> Path | None:
        """The newest samples."""
        return max((self._model / "samples").glob("*.png"), default=None)

    def decoded(self, done: int, total: int) -> None:
        """So many pictures are read."""
        self.text = f"{done} of {total} pictures read"

    def learnt(self, phase: str, done: int, total: int, text: str) -> None:
        """So much of a phase is done."""
        self.percent = round(100 * done / total, 1)
        self.text = f"{phase}: {done} of {total}, {text}"
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_PERIOD
            self._log.info(self.text)

    def say(self, text: str) -> None:
        """A line in the log."""
        self._log.info(text)


@flow(
    name="train-generator",
    flow_run_name=named("train a generator on {images} into {out}", by=("parent", "resolution")),
    persist_result=False,
    validate_parameters=True,
)
def train_generator(
    images: Folder,
    out: Folder,
    parent: str | None = None,
    resolution: Literal[64, 128, 256] = 64,
    steps: Count = 30_000,
    objective: Objective = "hinge",
    overrides: dict[str, Any] | None = None,
    seed: Seed = 0,
    evaluate_every: Count = 2000,
    samples: Annotated[int, Field(ge=16)] = 1024,
    licence: str = "not stated",
    threads: Count | None = None,
) -> State[dict[str, Any]]:
    """Train a generator on a folder of images of one kind, or adapt a pretrained one, which takes minutes, not hours.

    Args:
        images: Folder of the images, such as aligned faces.
        out: Folder of the training; one that is there is continued. {date} becomes the day.
        parent: Name or file of a MobileStyleGAN, StyleGAN2 or PGGAN to adapt; training from scratch if not given.
        resolution: Rows and columns of the generator's images.
        steps: Optimisation steps in total, with those that are done.
        objective: What generator and discriminator play for.
        overrides: Other settings of docs/configuration.md, such as {"batch": 8, "consistency": 1000}.
        seed: Decides everything random.
        evaluate_every: Steps between two scores with a grid of samples.
        samples: Generated images per score, which has 512 dimensions.
        licence: Licence of the images, for the generator's card.
        threads: CPU threads; all if not given.
    """
    folder, _ = dated(out, None, today())
    place, model, log = Place.of(folder), Path(folder), get_run_logger()
    with kept_up(Steps(model, log), place, log) as watcher:

        def whole() -> TrainingResult:
            from tasks.train_generator import TrainingRequest, train_generator
            from tasks.workers.sizing import usable_cores

            store = TrainingStore(model)
            known = store.header()["config"] if store.exists else {}
            given = {"resolution": resolution, "objective": objective, "seed": seed, **(overrides or {})}
            config = generator_config(parent or known.get("parent", ""), {**known, **given})
            request = TrainingRequest(
                images=Path(images),
                out=model,
                config=config,
                steps=steps,
                evaluate_every=evaluate_every,
                samples=samples,
                licence=licence,
                threads=threads or usable_cores(),
            )
            return train_generator(request, store.exists, watcher)

        return concluded(whole, lambda result, more: _conclude(place, result))


def _conclude(place: Place, result: TrainingResult) -> State[Any]:
    log_failure(get_run_logger(), lambda: _show(place, result))
    line = f"{result.steps} steps; best Frechet distance {result.best_score:.3f} at step {result.best_step}"
    data = {"steps": result.steps, "best_score": result.best_score, "best_step": result.best_step}
    return done({**data, "model": str(result.model)}, f"{line}; {result.model}")


def _show(place: Place, result: TrainingResult) -> None:
    folder = result.model.parent
    show_table(place, "metrics", TrainingStore(folder).metrics(), f"Scores of {folder}")
    if (card := folder / "card.md").is_file():
        show_text(place, "card", [card.read_text(encoding="utf-8")], "The model's card")
