"""Training a generator on a folder of images: from pictures to a snapshot with a card; kill and resume it any time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from mgi.images import to_uint8
from mgi.memory import keep_freed_memory
from mgi.metrics.relative_frechet import LAYER, NETWORK
from mgi.sampling import tile_grid
from mgi.training import Losses, Trainer, TrainingConfig, TrainingError
from mgi.training.adapted.base import FITTED_ON
from mgi.training.card import card_text
from mgi.training.data import Pictures, loader, split
from mgi.training.evaluation import HeldOut, repeated_percent
from mgi.training.parents import licence_of, require_fit, start_of
from mgi.training.processes import processes
from storage.atomic import write_text
from storage.images import write_png
from storage.training_store import TrainingStore
from tasks.training_runs import Watcher, check_startable, continued, enough
from tasks.training_steps import Best, TrainingRun, train_steps

GRID = 64
"""Samples in each grid."""
TRUNCATED = 0.7
"""Truncation of the second grid of an adapted generator."""


@dataclass(frozen=True, kw_only=True)
class TrainingRequest(TrainingRun):
    """What the user asks for.

    Args:
        images: folder of training images.
        config: what is trained, and how.
        samples: generated images per score.
    """

    images: Path
    config: TrainingConfig
    samples: int


@dataclass(frozen=True)
class TrainingResult:
    """The state of a run: steps done, its best score and when that was reached."""

    steps: int
    images_seen: int
    best_score: float
    best_step: int
    model: Path


def train_generator(request: TrainingRequest, resume: bool, watcher: Watcher) -> TrainingResult:
    """Train, or continue training, until `request.steps` are done.

    Under `torchrun` every process calls this; the first one writes.

    Raises:
        TrainingConflict: the folder holds a run and `resume` is False, or no run, or one with other settings.
        storage.folders.InputError: the images cannot be used.
        TrainingError: the losses stopped being numbers, or the checkpoint does not fit.
    """
    store = TrainingStore(request.out)
    with processes() as (rank, world, device):
        if rank:
            _run(request, store, watcher, rank, world, device)
            return _result(store, request)
        with store.lock():
            _open(request, store, resume, watcher)
            _run(request, store, watcher, rank, world, device)
    return _result(store, request)


def _open(request: TrainingRequest, store: TrainingStore, resume: bool, watcher: Watcher) -> None:
    check_startable(store, resume, request.config.model_dump(mode="json"), request.out)
    images = store.images(request.images, request.config.resolution, watcher.decoded)
    bad = store.left_out()
    if bad:
        watcher.say(f"note: {len(bad)} images are left out, such as: {next(iter(bad.values()))}")
    if not store.exists:
        train, held_out = split(len(images))
        _require_fit(request.config, len(train))
        store.create(
            {
                "config": request.config.model_dump(mode="json"),
                "digest": request.config.digest(),
                "images": str(request.images.resolve()),
                "licence": request.licence,
                **({"parent_licence": licence_of(request.config.parent)} if request.config.parent else {}),
                "threads": request.threads,
                "trained_on": len(train),
                "held_out": len(held_out),
            }
        )
    store.amend(steps=request.steps, evaluate_every=request.evaluate_every, samples=request.samples)


def _require_fit(config: TrainingConfig, images: int) -> None:
    """Refuse what no training can begin with before there is one: the corrected command may use the same folder."""
    if images < config.batch:
        raise TrainingError(
            f"{images} images do not fill a batch of {config.batch}; add more or use --set batch={max(2, images // 2)}"
        )
    if config.parent:
        require_fit(config.parent, config.resolution, config.z_dim)


def _run(
    request: TrainingRequest, store: TrainingStore, watcher: Watcher, rank: int, world: int, device: torch.device
) -> None:
    keep_freed_memory()
    torch.set_num_threads(request.threads)
    if world > 1:
        dist.barrier()  # the first process has decoded the images
    pixels = np.load(store.folder / "images.npy", mmap_mode="r")
    train, held_out = split(len(pixels))
    start = _start(request.config, store.checkpoint() is not None, watcher)
    # An adaptation is over in minutes on a GPU; compiling takes as long, and was never run on one.
    compile = device.type == "cuda" and start is None
    trainer = Trainer(request.config, device, rank, world, compile, start)
    best = continued(store, trainer)
    if enough(store, trainer.steps_done, request.steps):
        return
    judge = HeldOut(pixels, train, held_out, device) if rank == 0 else None
    batches = loader(Pictures(pixels, train), trainer.batches(len(train)), workers=2 if device.type == "cuda" else 0)

    rates = "learning_rate and generator_rate" if request.config.parent else "learning_rate"

    def step() -> tuple[Losses, str]:
        losses = trainer.step(next(batches))
        if not losses.finite:
            raise TrainingError(
                f"the losses stopped being numbers in step {trainer.steps_done}; the best snapshot and the last "
                f"checkpoint are kept; train again with a smaller --set {rates} or a larger --set r1"
            )
        return losses, f"losses {losses.generator:.2f} / {losses.discriminator:.2f}"

    def evaluate(losses: Losses, best: Best) -> Best:
        if judge is not None:
            best = _evaluate(request, store, trainer, judge, losses, best, watcher)
        if world > 1:
            dist.barrier()  # otherwise the others would wait for the first inside a collective with a timeout
        return best

    batch = request.config.batch
    if rank == 0 and (request.steps - 1) * batch < request.config.head_start:
        watcher.say(
            f"note: the generator stays as it is while the discriminator learns alone, for {request.config.head_start} "
            f"images (head_start), and {request.steps} steps show no more; take more steps or --set head_start=0"
        )
    train_steps(request, store, trainer, batch, best, watcher, step, evaluate, writes=rank == 0)


def _start(config: TrainingConfig, goes_on: bool, watcher: Watcher) -> dict[str, Tensor] | None:
    """What an adaptation starts from; None: training starts from scratch."""
    if not config.parent:
        return None
    what = "" if goes_on else " and fitting its image head"  # a checkpoint brings one; fitting takes up to a minute
    watcher.say(f"cutting {config.parent} at {config.resolution} x {config.resolution}{what}")

    def said(done: int, total: int) -> None:
        if not goes_on:
            watcher.learnt("fit", done, total, "of the parent's pictures")

    tensors, sha256 = start_of(config.parent, config.resolution, 1 if goes_on else FITTED_ON, said)
    if sha256 != config.parent_sha256:
        raise TrainingError(
            f"{config.parent} has sha256 {sha256[:12]}..., this training began with {config.parent_sha256[:12]}...; "
            "bring that file back"
        )
    return tensors


def _evaluate(
    request: TrainingRequest,
    store: TrainingStore,
    trainer: Trainer,
    judge: HeldOut,
    losses: Losses,
    best: Best,
    watcher: Watcher,
) -> Best:
    value = judge.score(trainer.sample, trainer.config.z_dim, request.samples)
    z = torch.randn(GRID, trainer.config.z_dim, generator=torch.Generator().manual_seed(0))
    truncates = getattr(trainer.average, "truncates", False)
    truncations = {"": 1.0, "-truncated": TRUNCATED} if truncates else {"": 1.0}
    grids = {name: trainer.sample(z, truncation=truncation) for name, truncation in truncations.items()}
    for name, images in grids.items():
        write_png(store.folder / "samples" / f"{trainer.images_seen:09d}{name}.png", tile_grid(list(to_uint8(images))))
    repeated = repeated_percent(grids[""])
    row = {"step": trainer.steps_done, "images": trainer.images_seen, "frechet": round(value, 4), "repeated": repeated}
    row |= {
        name: round(getattr(losses, name), 4) for name in ("generator", "discriminator", "real_logit", "fake_logit")
    }
    store.add_metrics(row)
    if not best or value < best["score"]:
        best = {"score": value, "step": trainer.steps_done}
        facts = {
            **store.header(),
            "best": best,
            "images_seen": trainer.images_seen,
            "real": judge.real,
            "network": f"{NETWORK} {LAYER}, mean over positions",
            "samples": request.samples,
            "kind": getattr(trainer.average, "kind", ""),
        }
        card = {key: str(facts[key]) for key in ("licence", "digest", "images_seen", "trained_on")}
        if trainer.config.parent:  # the licence of the pictures alone would mislead
            card |= {"parent": Path(trainer.config.parent).name, "parent_sha256": trainer.config.parent_sha256}
            card |= {"parent_licence": facts.get("parent_licence") or "not stated; it holds for this generator, too"}
        card |= {"frechet": f"{value:.4f}", "labelled": "images of this generator are generated, not real"}
        trainer.export(store.model_path, card)
        write_text(store.folder / "card.md", card_text(facts))
    watcher.say(
        f"step {trainer.steps_done}: Frechet distance {value:.3f} "
        f"(best {best['score']:.3f} at step {best['step']:.0f}; real images {judge.real:.3f}), "
        f"fine detail at one place of all samples {repeated:.1f} % (real images {judge.repeated:.1f} %)"
    )
    return best


def _result(store: TrainingStore, request: TrainingRequest) -> TrainingResult:
    table = store.metrics()
    scores, steps = table["frechet"].to_numpy(float), table["step"].to_numpy(int)
    best, last = int(scores.argmin()), int(steps.max())
    return TrainingResult(last, last * request.config.batch, float(scores[best]), int(steps[best]), store.model_path)
