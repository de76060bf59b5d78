"""How: gradient steps on lanes, each of which is its own optimisation problem.

Lanes that compose at the same layer share passes through the networks. The sum over lanes of per-lane losses makes
every lane's gradient its own, and each lane has its own optimiser, so its trajectory does not depend on the others. A
lane whose loss or gradient stops being finite is frozen at its best, and the others continue.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import torch
from torch import Tensor

from mgi.config import Inversion
from mgi.inversion.latents import Latents, detached, pack
from mgi.inversion.objective import Objective
from mgi.inversion.spaces import Space, W
from mgi.inversion.spaces.noise import PREFIX as NOISE
from mgi.pairs import Hypothesis
from mgi.progress import CoarseLoss

Progress = Callable[[int, int, float], None]
WARM_UP = 5
"""Steps of the `ramp` schedule before the full step size: Adam's first steps are sign steps, as large as any."""
IMPROVEMENT = 1e-3
"""A lane has stopped improving if its best loss falls by less than this, relatively (`inversion.plateau`)."""


@dataclass(eq=False)
class LaneState:
    """One lane during its optimisation.

    Args:
        hypothesis: composing layer and number of codes.
        picture: row of its target in the objective.
        latents: where it starts; taken over and changed in place.
        seed: of the noise added to w during the optimisation.
    """

    hypothesis: Hypothesis
    picture: int
    latents: Latents
    seed: int = 0
    best: Latents = field(init=False)
    best_loss: float = math.inf
    best_step: int = -1
    losses: list[float] = field(default_factory=list)
    lost_at: int | None = None
    """First step with a loss or gradient that is not finite."""
    ended: bool = False
    """It stopped improving (plateau) or was dropped (rungs): it takes no more steps."""
    finished: bool = True
    """False if rungs dropped it before its last step."""
    snapshots: list[Tensor] = field(default_factory=list)
    optimiser: torch.optim.Optimizer | None = None
    mark: tuple[float, int] = (math.inf, 0)
    """Loss and step of the last improvement that counts."""

    anchor: Tensor | None = field(init=False)
    """Where its tail started."""

    def __post_init__(self) -> None:
        self.start_at(self.latents)

    def start_at(self, latents: Latents) -> None:
        """Start from other latents; only before the first step."""
        assert not self.losses
        self.latents, self.best = latents, detached(latents)
        self.anchor = self.best.get("tail")

    @property
    def active(self) -> bool:
        """Whether it still takes steps."""
        return self.lost_at is None and not self.ended


class Solver:
    """Takes lanes from step to step.

    Args:
        space: generator and parametrisation.
        objective: holds the targets.
        settings: steps, optimiser, schedule.
        down: factor between the generator's resolution and the targets.
        lanes_at_once: how many lanes share a pass; halved for good if they do not fit into the device's memory.
        images: a replacement for the space's own method, such as a compiled one.
        share: whether lanes of different pictures share passes. Sums of floats come out otherwise in another batch, and
            after some steps that is more than the last bits.
    """

    def __init__(
        self,
        space: Space,
        objective: Objective,
        settings: Inversion,
        down: int,
        lanes_at_once: int = 1,
        images: Callable[..., Tensor] | None = None,
        share: bool = True,
    ) -> None:
        self._images, self._share = images or space.images, share
        self.space, self.objective, self.settings, self.down = space, objective, settings, down
        self.lanes_at_once = lanes_at_once

    def coarse_steps(self, layer: int) -> int:
        """How many of the first steps go through the coarse head."""
        if not self.space.has_coarse(layer):
            return 0
        return min(self.settings.coarse_steps, self.settings.steps - 1)

    def advance(self, lanes: Sequence[LaneState], until: int, progress: Callable[[int, float], None]) -> None:
        """The argmin over z of MGI equation 7: take the active lanes from where they are to `until` steps.

        `progress` gets (lane-steps, mean loss), a `CoarseLoss` as long as steps go through the coarse head.
        """
        active = sorted((lane for lane in lanes if lane.active), key=self._place)
        for (_, layer, done), group in groupby(active, key=self._place):
            waiting = list(group)
            while waiting:
                batch, waiting = waiting[: self.lanes_at_once], waiting[self.lanes_at_once :]
                for step in range(done, until):
                    batch = [lane for lane in batch if lane.active]
                    if not batch:
                        break
                    losses = self._step(batch, layer, step)
                    mean = sum(losses) / len(losses)
                    progress(len(batch), CoarseLoss(mean) if step < self.coarse_steps(layer) else mean)

    def _place(self, lane: LaneState) -> tuple[int, int, int]:
        """What lanes must share to share a pass: the layer and the step, and perhaps the picture."""
        return 0 if self._share else lane.picture, lane.hypothesis.composing_layer, len(lane.losses)

    def _step(self, lanes: list[LaneState], layer: int, step: int) -> list[float]:
        coarse = step < self.coarse_steps(layer)
        for lane in lanes:
            optimiser = self._optimiser(lane)
            optimiser.zero_grad(set_to_none=True)
            factor = schedule_factor(self.settings, step)
            for group in optimiser.param_groups:
                group["lr"] = group["rate"] * factor
            if step == self.coarse_steps(layer) > 0:
                # The two objectives are not comparable: the full one decides.
                lane.best_loss, lane.mark = math.inf, (math.inf, step)
        losses = self._gradients(lanes, layer, coarse, step)
        for lane, loss in zip(lanes, losses, strict=True):
            lane.losses.append(loss)
            gradients = (t.grad for t in lane.latents.values() if t.grad is not None)
            if not (math.isfinite(loss) and _finite(gradients)):
                lane.lost_at = step
                continue
            self._remember(lane, loss, step)
            assert lane.optimiser is not None
            lane.optimiser.step()
            self.space.retract(lane.latents)
            if self.settings.keep == "last" and step == self.settings.steps - 1 and _finite(lane.latents.values()):
                lane.best = detached(lane.latents)  # the last latents, whose own loss nobody computes
        return losses

    def _gradients(self, lanes: list[LaneState], layer: int, coarse: bool, step: int) -> list[float]:
        """Loss of every lane, with the gradients left in its tensors; in halves if memory is short."""
        try:
            latents = [self._disturbed(lane, step) for lane in lanes]
            images = self._images(latents, layer, self.down, coarse=coarse)
            anchors = None if self.settings.tail_start == "mean" else [lane.anchor for lane in lanes]
            loss, _ = self.objective(images, latents, [lane.picture for lane in lanes], anchors)
            loss.sum().backward()
            return [float(value) for value in loss.detach().cpu()]
        except torch.OutOfMemoryError:
            if len(lanes) == 1:
                raise
        half = len(lanes) // 2
        self.lanes_at_once = min(self.lanes_at_once, max(1, half))
        for lane in lanes:  # left behind by a pass that failed
            for tensor in lane.latents.values():
                tensor.grad = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        parts = (lanes[:half], lanes[half:])
        return [loss for part in parts for loss in self._gradients(part, layer, coarse, step)]

    def _disturbed(self, lane: LaneState, step: int) -> Latents:
        """The lane's latents with the noise that its settings add at this step."""
        s = self.settings
        fade = max(0.0, 1 - step / (0.75 * s.steps)) ** 2
        if not (s.latent_noise and fade and isinstance(self.space, W)):
            return lane.latents
        codes = lane.latents["codes"]
        _, spread = self.space.statistics(str(codes.device))
        random = torch.Generator().manual_seed((lane.seed + step) & (2**63 - 1))
        noise = torch.randn(1, codes.shape[1], generator=random).to(codes)
        return {**lane.latents, "codes": codes + s.latent_noise * spread * fade * noise}

    def _remember(self, lane: LaneState, loss: float, step: int) -> None:
        s = self.settings
        if loss < lane.best_loss or s.keep == "last":
            lane.best_loss, lane.best_step, lane.best = loss, step, detached(lane.latents)
        if loss < lane.mark[0] * (1 - IMPROVEMENT):
            lane.mark = (loss, step)
        elif s.plateau and step - lane.mark[1] >= s.plateau:
            lane.ended = True
        if s.snapshots and step in snapshot_steps(s):
            lane.snapshots.append(pack(lane.latents))

    def _optimiser(self, lane: LaneState) -> torch.optim.Optimizer:
        if lane.optimiser is None:
            s = self.settings
            factors = {"alpha": s.alpha_rate, "tail": s.tail_rate}
            groups = [
                {"params": [tensor.requires_grad_()], "rate": s.learning_rate * factors.get(name, 1.0)}
                for name, tensor in lane.latents.items()
                if tensor.numel() and not (name.startswith(NOISE) and s.noise == "fresh")
            ]
            if s.optimizer == "sgd":
                lane.optimiser = torch.optim.SGD(groups, lr=s.learning_rate)
            else:
                lane.optimiser = torch.optim.Adam(groups, lr=s.learning_rate, betas=(0.9, s.beta2))
        return lane.optimiser


def schedule_factor(settings: Inversion, step: int) -> float:
    """Multiple of the step size at a step."""
    t = step / settings.steps
    if settings.schedule == "ramp":
        fall = min(1.0, (settings.steps - step) / (settings.steps / 3))
        return min(1.0, (step + 1) / WARM_UP) * fall
    if settings.schedule == "cosine":
        down = min(1.0, (1 - t) / 0.25)
        return (0.5 - 0.5 * math.cos(math.pi * down)) * min(1.0, t / 0.05)
    if settings.schedule == "cycle":
        if t < 0.9:
            return (9 * (1 - abs(t / 0.9 - 0.5) * 2) + 1) / 10
        return 0.1 + (t - 0.9) / 0.1 * (0.001 - 0.1)
    return 1.0


def snapshot_steps(settings: Inversion) -> list[int]:
    """The steps whose latents are kept as the trajectory: the first, the last, and others evenly between them."""
    count = min(settings.snapshots, settings.steps)
    return sorted({round(i * (settings.steps - 1) / max(count - 1, 1)) for i in range(count)})


def _finite(tensors: Iterable[Tensor]) -> bool:
    return all(bool(torch.isfinite(t).all()) for t in tensors)
