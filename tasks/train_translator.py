"""Training a translator on folders of pictures: to a snapshot with a card and grids; kill and resume it any time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mgi.features import load_backbone
from mgi.images import to_float, to_uint8
from mgi.losses import l1
from mgi.memory import keep_freed_memory
from mgi.metrics.relative_frechet import LAYER, NETWORK, relative_frechet, statistics
from mgi.sampling import tile_grid
from mgi.systems.base import Guide
from mgi.systems.drawing import Drawing, encoded
from mgi.systems.files import TranslatorFacts, write_system
from mgi.systems.trainer import SystemTrainer, started
from mgi.training import TrainingError
from mgi.training.processes import processes
from storage.atomic import write_text
from storage.images import write_png
from storage.training_store import TrainingStore
from tasks.training_runs import CHECKPOINT_SECONDS, check_startable, continued, write_state
from tasks.translator_card import translator_card
from tasks.translator_material import Material, TranslatorRequest, Watcher, check_folders, gather

MEASURED = 256
"""At most so many held-out pictures measure."""
SHOWN = 8
"""Rows in each grid."""
AT_ONCE = 16


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
            if not store.exists:
                store.create(_header(request, material, asked))
            store.amend(steps=request.steps, evaluate_every=request.evaluate_every)
            trainer = SystemTrainer(started(request.system, material.config), request.steps, device)
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
    best: dict[str, float],
    watcher: Watcher,
) -> None:
    if trainer.steps_done >= request.steps:
        return
    judge = HeldOut(material, trainer.device, trainer.system.guided)
    drawing = Drawing(request.system.data, material.a, material.b, material.config)
    saved = start = time.monotonic()
    first = trainer.steps_done
    spent = _spent(store, first)
    try:
        while trainer.steps_done < request.steps:
            terms = trainer.step(drawing.batch(trainer.steps_done))
            done = trainer.steps_done
            rate = (done - first) * material.config.batch / max(time.monotonic() - start, 1e-3)
            losses = ", ".join(f"{name} {value:.2f}" for name, value in terms.items())
            watcher.learnt("train", done, request.steps, f"{rate:.1f} pictures/s, {losses}")
            due = done % request.evaluate_every == 0 or done == request.steps
            if due:
                seconds = spent + time.monotonic() - start
                best = _evaluate(request, store, trainer, judge, {"seconds": seconds, **terms}, best, watcher)
            if due or time.monotonic() - saved > CHECKPOINT_SECONDS:
                write_state(store, {**trainer.state(), "best": best})
                saved = time.monotonic()
    except KeyboardInterrupt:
        write_state(store, {**trainer.state(), "best": best})
        watcher.say(f"checkpoint of step {trainer.steps_done} written; the same command with --resume continues")
        raise


class HeldOut:
    """Pictures that were not trained on, and how far translations to them are from them.

    The exemplar of a source is the held-out picture half a list away, so it never is the source.
    """

    def __init__(self, material: Material, device: torch.device, guided: bool) -> None:
        self._material, self._device, self._guided = material, device, guided
        self._backbone = load_backbone(NETWORK, device)
        self.a, self.b = material.held_a[:MEASURED], material.held_b
        batches = (to_float(material.b.pixels[rows], device) for rows in _parts(self.b))
        self._real = statistics(batches, self._backbone)

    def translations(self, trainer: SystemTrainer, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(results, exemplars) uint8 [N, S, S, 3] of rows of A."""
        material = self._material
        partners = self.b[(np.arange(len(rows)) + len(self.b) // 2) % len(self.b)]
        results = []
        for number, (part, others) in enumerate(zip(_parts(rows), _parts(partners), strict=True)):
            a = trainer.system.sources(encoded(material.a.pixels[part], material.config.labels))
            guide = Guide(domain=torch.from_numpy(material.b.domains[part]))
            if self._guided:
                guide = Guide(
                    to_float(material.b.pixels[others]),
                    encoded(material.a.pixels[others], material.config.labels)
                    if len(material.a.pixels) == len(material.b.pixels)
                    else None,
                    torch.from_numpy(material.b.domains[others]),
                )
            results.append(to_uint8(trainer.translate(a, guide, seed=number)))
        return np.concatenate(results), material.b.pixels[partners]

    def sources(self, trainer: SystemTrainer, rows: np.ndarray) -> np.ndarray:
        """Rows of A to look at, uint8 [N, S, S, 3]."""
        pixels, system = self._material.a.pixels[rows], trainer.system
        if self._material.config.size != system.source_size:
            pixels = to_uint8(system.sources(encoded(pixels, 0)))
        return shown(pixels, self._material.b.pixels.shape[1])

    def truths(self, rows: np.ndarray) -> np.ndarray:
        """B of the same rows."""
        return np.asarray(self._material.b.pixels[rows])

    def scores(self, trainer: SystemTrainer) -> dict[str, float]:
        """`frechet`: relative Frechet distance of translations from held-out B; `l1`: to the true pictures."""
        results, _ = self.translations(trainer, self.a)
        parts = (to_float(results[rows], self._device) for rows in _parts(np.arange(len(results))))
        found = {"frechet": relative_frechet(statistics(parts, self._backbone), self._real)}
        if trainer.system.has_truth:
            truth = self._material.b.pixels[self.a]
            found["l1"] = float(l1(to_float(results), to_float(truth)).mean())
        return found


def shown(a: np.ndarray, size: int) -> np.ndarray:
    """A [N, s, s, C] as pictures uint8 [N, S, S, 3]: classes in colours, of numbers the largest of three channels."""
    if a.dtype != np.uint8:
        spread = np.array_split(a.astype(np.float32), min(3, a.shape[-1]), axis=-1)
        planes = np.stack([part.max(-1) for part in spread], -1)
        a = (255 * (planes - planes.min()) / max(float(np.ptp(planes)), 1e-6)).astype(np.uint8)
        a = a if a.shape[-1] == 3 else a[..., [0, -1, -1]]
    elif a.shape[-1] != 3:
        palette = np.random.default_rng(0).integers(40, 255, (256, 3), dtype=np.uint8)
        a = palette[a[..., 0]]
    times = size // a.shape[1]
    return a.repeat(times, 1).repeat(times, 2) if times > 1 else np.asarray(a)


def _spent(store: TrainingStore, steps: int) -> float:
    """Seconds that a run had trained for when it had done so many steps."""
    table = store.metrics()
    before = table[table["step"] <= steps] if len(table) else table
    return float(before["seconds"].iloc[-1]) if len(before) else 0.0


def _parts(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[at : at + AT_ONCE] for at in range(0, len(rows), AT_ONCE)]


def _evaluate(
    request: TranslatorRequest,
    store: TrainingStore,
    trainer: SystemTrainer,
    judge: HeldOut,
    terms: dict[str, float],
    best: dict[str, float],
    watcher: Watcher,
) -> dict[str, float]:
    scores = judge.scores(trainer)
    step, images = trainer.steps_done, trainer.steps_done * trainer.config.batch
    write_png(store.folder / "samples" / f"{step:07d}.png", _grid(trainer, judge))
    losses = {f"loss_{name}": value for name, value in terms.items() if name != "seconds"}
    rounded = {name: round(value, 4) for name, value in {**scores, **losses}.items()}
    store.add_metrics({"step": step, "images": images, "seconds": round(terms["seconds"], 1), **rounded})
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
            measured=f"{NETWORK} {LAYER}, relative Frechet distance"
            if measured == "frechet"
            else "L1 on held-out pairs",
            licence=request.licence,
        )
        write_system(store.model_path, trainer.best_weights, facts)
        write_text(store.folder / "card.md", translator_card(facts, scores))
    shown = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
    watcher.say(f"step {step}: {shown} (best {measured} {best['score']:.3f} at step {best['step']:.0f})")
    return best


def _grid(trainer: SystemTrainer, judge: HeldOut) -> np.ndarray:
    """Rows of source, exemplar if there is one, and result."""
    rows = judge.a[:SHOWN]
    results, exemplars = judge.translations(trainer, rows)
    columns = [judge.sources(trainer, rows), *([exemplars] if trainer.system.guided else []), results]
    if trainer.system.has_truth:
        columns.append(judge.truths(rows))
    return tile_grid([column[row] for row in range(len(rows)) for column in columns], len(columns))


def _result(store: TrainingStore, request: TranslatorRequest) -> TranslatorResult:
    table = store.metrics()
    measured = "l1" if request.system.judged_by_l1 else "frechet"
    best = table.iloc[int(table[measured].to_numpy(float).argmin())]
    scores = {name: float(best[name]) for name in ("frechet", "l1") if name in table.columns}
    return TranslatorResult(int(table["step"].max()), scores, int(best["step"]), store.model_path)
