"""How: gradient steps on a batch of lanes that share a hypothesis, each lane independent of the others.

The sum over lanes of per-lane means makes every lane's gradient its own, and Adam and SGD act element by element, so a
lane's path does not depend on its batch. Each lane keeps its best latents; a lane whose loss or gradient stops being
finite is frozen at its best and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mgi.config import Inversion
from mgi.inversion.objective import Objective
from mgi.inversion.space import Latents, LatentSpace
from mgi.pairs import Hypothesis

Progress = Callable[[int, int, float], None]
WARM_UP = 5
"""Steps of the `ramp` schedule before the full step size: Adam's first steps are sign steps, as large as any."""


@dataclass
class Outcome:
    """What became of B lanes: best latents, loss per step [B,steps], best loss [B] and the step that reached it."""

    latents: Latents
    losses: Tensor
    best_loss: Tensor
    best_step: Tensor
    stopped_at: list[int | None]
    """First step with a non-finite loss or gradient, per lane."""


def solve(
    space: LatentSpace,
    objective: Objective,
    start: Latents,
    hypothesis: Hypothesis,
    settings: Inversion,
    down: int,
    progress: Progress | None = None,
) -> Outcome:
    """Minimise the objective over latents (MGI equation 7).

    Args:
        space: generator and parametrisation.
        objective: holds the targets of the same lanes.
        start: initial latents; not modified.
        hypothesis: composing layer and number of codes.
        settings: steps, optimiser, schedule.
        down: factor between the generator's resolution and the warp.
        progress: called with (step, steps, mean loss) after every step.
    """
    latents = start.clone()
    parameters = [t.requires_grad_() for t in latents.tensors() if t.numel()]
    optimiser, rates = _optimiser(latents, settings)
    lanes = latents.codes.shape[0]
    coarse_steps = min(settings.coarse_steps, settings.steps - 1) if space.has_coarse(hypothesis.composing_layer) else 0
    best, alive = latents.clone(), torch.ones(lanes, dtype=torch.bool, device=latents.codes.device)
    best_loss = torch.full((lanes,), torch.inf, device=alive.device)
    best_step = torch.full((lanes,), -1)
    stopped: list[int | None] = [None] * lanes
    curve = []
    for step in range(settings.steps):
        if step == coarse_steps:
            best_loss.fill_(torch.inf)  # the two objectives are not comparable: the full one decides
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * _factor(settings, step)
        images = space.images(latents, hypothesis.composing_layer, down, coarse=step < coarse_steps)
        loss, _ = objective(images, latents)
        optimiser.zero_grad(set_to_none=True)
        torch.where(alive, loss, torch.zeros_like(loss)).sum().backward()
        finite = torch.isfinite(loss.detach()) & _finite_gradients(parameters)
        for lane in torch.nonzero(alive & ~finite)[:, 0].tolist():
            stopped[lane] = step
        alive = alive & finite
        better = alive & (loss.detach() < best_loss)
        best_loss = torch.where(better, loss.detach(), best_loss)
        best_step[better.cpu()] = step
        for kept, current in zip(best.tensors(), latents.tensors(), strict=True):
            kept[better] = current.detach()[better]
        curve.append(loss.detach().cpu())
        if not bool(alive.any()):
            break
        for parameter in parameters:
            assert parameter.grad is not None
            parameter.grad[~alive] = 0  # NaN times zero is NaN: frozen lanes are written, not multiplied
        optimiser.step()
        if progress is not None:
            progress(step + 1, settings.steps, float(loss.detach()[alive].mean()))
    losses = torch.stack(curve, dim=1)
    padding = losses.new_full((lanes, settings.steps - losses.shape[1]), torch.nan)
    return Outcome(best, torch.cat([losses, padding], dim=1), best_loss.cpu(), best_step, stopped)


def _optimiser(latents: Latents, settings: Inversion) -> tuple[torch.optim.Optimizer, list[float]]:
    rate = settings.learning_rate
    rates = [rate, rate * settings.alpha_rate, rate * settings.tail_rate]
    pairs = [(t, r) for t, r in zip(latents.tensors(), rates, strict=True) if t.numel()]
    groups = [{"params": [tensor], "lr": r} for tensor, r in pairs]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate), [r for _, r in pairs]
    return torch.optim.Adam(groups, lr=rate), [r for _, r in pairs]


def _factor(settings: Inversion, step: int) -> float:
    """Multiple of the step size at a step."""
    if settings.schedule == "constant":
        return 1.0
    rise = min(1.0, (step + 1) / WARM_UP)
    fall = min(1.0, (settings.steps - step) / (settings.steps / 3))
    return rise * fall


def _finite_gradients(parameters: list[Tensor]) -> Tensor:
    checks = [torch.isfinite(p.grad).flatten(1).all(1) for p in parameters if p.grad is not None]
    return torch.stack(checks).all(0)
