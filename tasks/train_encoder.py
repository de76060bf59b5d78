"""Training an encoder of a generator: on its own samples, on a folder of pictures, and across two domains."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mgi.encoders.codes import measure_codes
from mgi.encoders.files import EncoderFacts, TrainedEncoder, read_encoder, write_encoder
from mgi.encoders.fusion import FusionFacts, write_fusion
from mgi.images import to_float, to_uint8
from mgi.learnt_files import LearntFileError
from mgi.memory import keep_freed_memory
from mgi.sampling import tile_grid
from mgi.training import TrainingError
from mgi.training.encoders import EncoderConfig, EncoderLosses, EncoderTrainer, FusionTrainer
from mgi.training.encoders.networks import components_of
from mgi.training.processes import processes
from mgi.weights import load_generator
from storage.atomic import write_text
from storage.images import write_png
from storage.training_store import TrainingStore
from tasks.encoder_card import encoder_card, fusion_card
from tasks.encoder_material import EncoderRequest, Material, gather
from tasks.training_runs import Watcher, check_startable, continued, enough
from tasks.training_steps import Best, train_steps

Trainer = EncoderTrainer | FusionTrainer
SCORED = ("samples-perceptual", "strange-perceptual", "pictures-perceptual")
"""Errors whose mean says which snapshot is the best."""
SHOWN = 16
"""Pictures in each grid."""
AT_ONCE = 16


@dataclass(frozen=True)
class EncoderResult:
    """The state of a run: steps done, errors of its best snapshot on held-out pictures, and its file."""

    steps: int
    errors: dict[str, float]
    best_step: int
    model: Path


def train_encoder(request: EncoderRequest, resume: bool, watcher: Watcher) -> EncoderResult:
    """Train, or continue training, until `request.steps` are done.

    Raises:
        TrainingConflict: the folder holds a run and `resume` is False, or no run, or one with other settings.
        storage.folders.InputError: the pictures cannot be used.
        TrainingError: the losses stopped being numbers, or there is nothing to learn from.
    """
    config = request.config
    store = TrainingStore(request.out, "fusion" if config.fuses else "encoder")
    with processes() as (_, world, device):
        if world > 1:
            raise TrainingError("encoders are trained by one process; start the command without torchrun")
        with store.lock():
            keep_freed_memory()
            torch.set_num_threads(request.threads)
            check_startable(store, resume, config.model_dump(mode="json"), request.out)
            generator = load_generator(config.generator, device)
            base = _base(config, device) if config.fuses else None
            codes = base.codes if base is not None else measure_codes(generator, components_of(config))
            trainer: Trainer
            if base is not None:
                trainer = FusionTrainer(config, generator, base, device)
            else:
                trainer = EncoderTrainer(config, generator, codes, device)
            material = gather(request, store, generator, codes.to(device), watcher)
            if not store.exists:
                store.create(_header(request, material))
            store.amend(steps=request.steps, evaluate_every=request.evaluate_every)
            best = continued(store, trainer)
            if not enough(store, trainer.steps_done, request.steps):
                _run(request, store, trainer, material, best, watcher)
    return _result(store)


def _base(config: EncoderConfig, device: torch.device) -> TrainedEncoder:
    """The encoder whose losses a fusion puts back.

    Raises:
        TrainingError: it is none, or another generator's.
    """
    try:
        base = read_encoder(Path(config.parent).expanduser(), device)
    except LearntFileError as error:
        raise TrainingError(f"--from: {error}") from None
    if base.facts.generator_sha256 != config.generator_sha256:
        raise TrainingError(
            f"--from: expected an encoder of {config.generator}, found one of {base.facts.generator}; name another"
        )
    return base


def _header(request: EncoderRequest, material: Material) -> dict[str, Any]:
    counts = {name: len(getattr(material, name)) for name in ("known", "real", "target") if _has(material, name)}
    return {
        "config": request.config.model_dump(mode="json"),
        "digest": request.config.digest(),
        "images": str(request.images.resolve()) if request.images else "",
        "target": str(request.target.resolve()) if request.target else "",
        "licence": request.licence,
        "threads": request.threads,
        "trained_on": counts,
    }


def _has(material: Material, name: str) -> bool:
    return getattr(material, name) is not None


def _run(
    request: EncoderRequest,
    store: TrainingStore,
    trainer: Trainer,
    material: Material,
    best: Best,
    watcher: Watcher,
) -> None:
    def step() -> tuple[EncoderLosses, str]:
        losses = trainer.step(material.batch(request.config, trainer.steps_done))
        if not losses.finite:
            raise TrainingError(
                f"the losses stopped being numbers in step {trainer.steps_done}; the best snapshot and the last "
                "checkpoint are kept; train again with a smaller --set learning_rate"
            )
        return losses, ", ".join(f"{name} {value:.3f}" for name, value in losses.values.items())

    def evaluate(losses: EncoderLosses, best: Best) -> Best:
        return _evaluate(request, store, trainer, material, losses, best, watcher)

    train_steps(request, store, trainer, request.config.batch, best, watcher, step, evaluate)


def measured(trainer: Trainer, material: Material) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Errors of the running average on what is held out, by `DOMAIN-ERROR`, and the pictures it gives."""
    errors: dict[str, float] = {}
    shown: dict[str, Tensor] = {}
    for domain, (seen, whole) in material.held.items():
        found = torch.cat([trainer.reconstruct(to_float(part)) for part in _parts(seen)])
        per_picture = [
            trainer.errors(one, to_float(part)) for one, part in zip(found.split(AT_ONCE), _parts(whole), strict=True)
        ]
        for name in per_picture[0]:
            errors[f"{domain}-{name}"] = float(torch.cat([values[name] for values in per_picture]).mean())
        shown[domain] = found
    if material.held_coordinates is not None and isinstance(trainer, EncoderTrainer):
        coordinates = torch.from_numpy(material.held_coordinates)
        pictures = material.held["samples"][0]
        found = torch.cat([trainer.encode(to_float(part)).cpu() for part in _parts(pictures)])
        errors["explained"] = 1 - float((found - coordinates).square().mean() / coordinates.square().mean())
    return errors, shown


def _parts(pixels: np.ndarray) -> list[np.ndarray]:
    return [pixels[first : first + AT_ONCE] for first in range(0, len(pixels), AT_ONCE)]


def _evaluate(
    request: EncoderRequest,
    store: TrainingStore,
    trainer: Trainer,
    material: Material,
    losses: EncoderLosses,
    best: Best,
    watcher: Watcher,
) -> Best:
    errors, shown = measured(trainer, material)
    # The target domain's truth is not there for a user, so it does not choose either.
    source = [value for name, value in errors.items() if name in SCORED]
    score = float(np.mean(source))
    row = {"step": trainer.steps_done, "score": score, **errors}
    store.add_metrics({**row, **{f"loss-{name}": value for name, value in losses.values.items()}})
    rows = []
    for domain, found in shown.items():
        seen, whole = material.held[domain]
        columns = (seen, to_uint8(found)) if seen is whole else (seen, to_uint8(found), whole)
        rows += [picture for column in columns for picture in column[:SHOWN]]
    write_png(store.folder / "samples" / f"{trainer.steps_done:09d}.png", tile_grid(rows, columns=SHOWN))
    if not best or score < best["score"]:
        best = {"score": score, "step": float(trainer.steps_done)}
        _keep(request, store, trainer, errors)
    numbers = ", ".join(f"{name} {value:.3f}" for name, value in errors.items())
    watcher.say(f"step {trainer.steps_done}: {numbers} (best at step {best['step']:.0f})")
    return best


def _keep(request: EncoderRequest, store: TrainingStore, trainer: Trainer, errors: dict[str, float]) -> None:
    """Write the running average and its card."""
    config = request.config
    counts = " and ".join(f"{count} {name}" for name, count in store.header()["trained_on"].items())
    card: dict[str, Any] = {"damaged": config.degradation} if config.damaged else {}
    card |= {
        "steps": trainer.steps_done,
        "trained_on": counts,
        "licence": request.licence,
        "digest": config.digest(),
    }
    rounded = {name: round(value, 4) for name, value in errors.items()}
    name, sha256 = Path(config.generator).name, config.generator_sha256
    if isinstance(trainer, FusionTrainer):
        base = Path(config.parent).name
        fusion = FusionFacts(name, sha256, base, config.parent_sha256, config.fusion_width, rounded, card)
        write_fusion(store.model_path, trainer.average, fusion)
        text = fusion_card(fusion, config)
    else:
        said = config.degradation if config.target == "simulated" else config.target if config.adapts else ""
        facts = EncoderFacts(name, sha256, config.arch, config.size, said, rounded, card)
        write_encoder(store.model_path, trainer.average, trainer.codes, facts)
        text = encoder_card(facts, config)
    write_text(store.folder / "card.md", text)


def _result(store: TrainingStore) -> EncoderResult:
    table = store.metrics()
    best = int(table["score"].to_numpy(float).argmin())
    names = [name for name in table.columns if name not in ("step", "score") and not name.startswith("loss-")]
    errors = {name: float(table[name].to_numpy(float)[best]) for name in names}
    steps = table["step"].to_numpy(int)
    return EncoderResult(int(steps.max()), errors, int(steps[best]), store.model_path)
