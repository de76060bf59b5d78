"""Training a translator on folders of pictures: to a snapshot with a card and grids; kill and resume it any time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mgi.memory import keep_freed_memory
from mgi.metrics.relative_frechet import LAYER, NETWORK
from mgi.systems.drawing import Drawing
from mgi.systems.files import TranslatorFacts, write_system
from mgi.systems.trainer import SystemTrainer, started
from mgi.training import TrainingError
from mgi.training.processes import processes
from storage.atomic import write_text
from storage.images import write_png
from storage.training_store import TrainingStore
from tasks.training_runs import Watcher, check_startable, continued, enough
from tasks.training_steps import Best, train_steps
from tasks.translator_card import translator_card
from tasks.translator_material import Material, TranslatorRequest, check_folders, gather
from tasks.translator_scores import HeldOut, grid_of


@dataclass(frozen=True)
class TranslatorResult:
    """The state of a run: steps done, the best snapshot's scores on held-out pictures, and its file."""

    steps: int
    scores: dict[str, float]
    best_step: int
    model: Path


def train_translator(request: TranslatorRequest, resume: bool, watcher: Watcher) -> TranslatorResult:
    """Train, or continue training, until `request.steps` are done.

    Raises:
        TrainingConflict: the folder holds a run and `resume` is False, or no run, or one with other settings.
        storage.folders.InputError: the pictures cannot be used.
        TrainingError: the losses stopped being numbers.
        mgi.config.ConfigError: the folders are not what the system learns from.
    """
    store = TrainingStore(request.out, "translator")
    with processes() as (_, world, device):
        if world > 1:
            raise TrainingError("translators are trained by one process; start the command without torchrun")
        check_folders(request)  # before there is a folder
        with store.lock():
            keep_freed_memory()
            torch.set_num_threads(request.threads)
            material = gather(request, watcher)
            asked = _asked(request, material)
            check_startable(store, resume, asked, request.out)
            system = started(request.system, material.config)
            if not store.exists:
                store.create(_header(request, material, asked))
            store.amend(steps=request.steps, evaluate_every=request.evaluate_every)
            trainer = SystemTrainer(system, request.steps, device)
            best = continued(store, trainer)
            _run(request, store, trainer, material, best, watcher)
    return _result(store, request)


def _asked(request: TranslatorRequest, material: Material) -> dict[str, Any]:
    """What decides the run; a run is continued only under the same."""
    chosen = {"system": request.system.name, "condition": request.condition, "domains_by": request.domains}
    return {**chosen, **material.config.model_dump(mode="json")}


def _header(request: TranslatorRequest, material: Material, asked: dict[str, Any]) -> dict[str, Any]:
    return {
        "config": asked,
        "digest": material.config.digest(request.system.name),
        "a": str(request.a.resolve()),
        "b": str(request.b.resolve()) if request.b else "",
        "licence": request.licence,
        "threads": request.threads,
        "trained_on": len(material.b.rows),
        "held_out": len(material.held_b),
    }


def _run(
    request: TranslatorRequest,
    store: TrainingStore,
    trainer: SystemTrainer,
    material: Material,
    best: Best,
    watcher: Watcher,
) -> None:
    if enough(store, trainer.steps_done, request.steps):
        return
    judge = HeldOut(material, trainer.device, trainer.system.guided)
    drawing = Drawing(request.system.data, material.a, material.b, material.config)
    started, spent = time.monotonic(), _spent(store, trainer.steps_done)

    def step() -> tuple[dict[str, float], str]:
        terms = trainer.step(drawing.batch(trainer.steps_done))
        return terms, ", ".join(f"{name} {value:.2f}" for name, value in terms.items())

    def evaluate(terms: dict[str, float], best: Best) -> Best:
        seconds = spent + time.monotonic() - started
        return _evaluate(request, store, trainer, judge, terms, seconds, best, watcher)

    train_steps(request, store, trainer, material.config.batch, best, watcher, step, evaluate)


def _spent(store: TrainingStore, steps: int) -> float:
    """Seconds that a run had trained for when it had done so many steps."""
    table = store.metrics()
    before = table[table["step"] <= steps] if len(table) else table
    return float(before["seconds"].iloc[-1]) if len(before) else 0.0


def _evaluate(
    request: TranslatorRequest,
    store: TrainingStore,
    trainer: SystemTrainer,
    judge: HeldOut,
    terms: dict[str, float],
    seconds: float,
    best: Best,
    watcher: Watcher,
) -> Best:
    scores = judge.scores(trainer)
    step, images = trainer.steps_done, trainer.steps_done * trainer.config.batch
    write_png(store.folder / "samples" / f"{step:07d}.png", grid_of(trainer, judge))
    losses = {f"loss_{name}": value for name, value in terms.items()}
    rounded = {name: round(value, 4) for name, value in {**scores, **losses}.items()}
    store.add_metrics({"step": step, "images": images, "seconds": round(seconds, 1), **rounded})
    measured = "l1" if request.system.judged_by_l1 else "frechet"
    if not best or scores[measured] < best["score"]:
        best = {"score": scores[measured], "step": step}
        facts = TranslatorFacts(
            system=request.system.name,
            settings=trainer.config.model_dump(mode="json"),
            condition=request.condition,
            steps=step,
            images=store.header()["trained_on"],
            score=scores[measured],
            measured="L1 on held-out pairs" if measured == "l1" else f"relative Frechet distance, {NETWORK} {LAYER}",
            licence=request.licence,
        )
        write_system(store.model_path, trainer.best_weights, facts)
        write_text(store.folder / "card.md", translator_card(facts, scores))
    said = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
    watcher.say(f"step {step}: {said} (best {measured} {best['score']:.3f} at step {best['step']:.0f})")
    return best


def _result(store: TrainingStore, request: TranslatorRequest) -> TranslatorResult:
    table = store.metrics()
    measured = "l1" if request.system.judged_by_l1 else "frechet"
    best = table.iloc[int(table[measured].to_numpy(float).argmin())]
    scores = {name: float(best[name]) for name in ("frechet", "l1") if name in table.columns}
    return TranslatorResult(int(table["step"].max()), scores, int(best["step"]), store.model_path)
