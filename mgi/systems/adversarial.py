"""Adversarial losses on maps of logits, with the tutorial's tricks: smoothed labels, history of generated pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.training.objectives import OBJECTIVES

Logits = Tensor | Sequence[Tensor]
SMOOTH: dict[str, Callable[[Tensor, float], Tensor]] = {
    "non-saturating": lambda real, target: F.binary_cross_entropy_with_logits(real, torch.full_like(real, target)),
    "least-squares": lambda real, target: 0.5 * (real - target).square().mean(),
}
"""Objectives with targets: what the discriminator loses on real pictures if "real" is called `target` instead of 1."""
SMOOTH["minimax"] = SMOOTH["non-saturating"]


def judge(objective: str, real: Logits, fake: Logits, smoothing: float = 0.0) -> Tensor:
    """The discriminator's loss, the mean over its maps.

    Args:
        objective: of `mgi.training.objectives`.
        real, fake: logits of any shape, or a list of them (several discriminators).
        smoothing: real pictures count as 1 - smoothing (one-sided label smoothing, Salimans et al. 2016).

    Raises:
        ValueError: smoothing under an objective without targets.
    """
    if smoothing and objective not in SMOOTH:
        raise ValueError(f"smoothing: expected an objective with targets ({', '.join(SMOOTH)}), found {objective}")
    losses = []
    for ours, theirs in zip(_listed(real), _listed(fake), strict=True):
        loss = OBJECTIVES[objective].discriminator(ours, theirs)
        if smoothing:
            at_target, at_one = (SMOOTH[objective](ours, target) for target in (1 - smoothing, 1.0))
            loss = loss - at_one + at_target
        losses.append(loss)
    return torch.stack(losses).mean()


def fool(objective: str, fake: Logits) -> Tensor:
    """The generator's loss, the mean over the discriminator's maps."""
    return torch.stack([OBJECTIVES[objective].generator(logits) for logits in _listed(fake)]).mean()


def feature_matching(real: Sequence[Sequence[Tensor]], fake: Sequence[Sequence[Tensor]]) -> Tensor:
    """L1 between what the discriminators' layers make of real and of generated pictures, logits excepted.

    pix2pixHD, equation 3: the mean over layers' elements, summed over layers, the mean over discriminators. The real
    side is a target.
    """
    losses = [
        torch.stack([(x.detach() - y).abs().mean() for x, y in zip(ours[:-1], theirs[:-1], strict=True)]).sum()
        for ours, theirs in zip(real, fake, strict=True)
    ]
    return torch.stack(losses).mean()


def _listed(logits: Logits) -> Sequence[Tensor]:
    return [logits] if isinstance(logits, Tensor) else logits


class History(nn.Module):
    """Generated pictures of earlier steps (Shrivastava et al. 2017, section 2.3): a discriminator must not forget them.

    A part of the state, so that a run that is continued equals one that was not stopped.

    Args:
        room: how many it holds; 0: none, pictures pass through.
        shape: of one.
    """

    def __init__(self, room: int, shape: Sequence[int]) -> None:
        super().__init__()
        self.room = room
        self.register_buffer("pictures", torch.zeros(max(room, 1), *shape))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def exchange(self, fresh: Tensor, random: torch.Generator) -> Tensor:
        """Each of [B, ...]: kept, and given back as it is while there is room; then half of them for an older one."""
        if not self.room:
            return fresh.detach()
        shown = fresh.detach().clone()
        assert isinstance(self.pictures, Tensor) and isinstance(self.count, Tensor)
        for row, picture in enumerate(shown):
            held = int(self.count)
            if held < self.room:
                self.pictures[held] = picture
                self.count += 1
            elif float(torch.rand((), generator=random)) < 0.5:
                at = int(torch.randint(0, self.room, (), generator=random))
                older = self.pictures[at].clone()
                self.pictures[at] = picture
                shown[row] = older
        return shown

    @torch.no_grad()
    def mix(self, fresh: Tensor, random: torch.Generator) -> Tensor:
        """Half of a batch [B, ...] replaced by older pictures once there are as many, as SimGAN has it.

        The fresh ones of the other half are kept: where there is room, then in the place of random older ones.
        """
        shown, half = fresh.detach().clone(), min(len(fresh) // 2, self.room)
        if not half:
            return shown
        assert isinstance(self.pictures, Tensor) and isinstance(self.count, Tensor)
        held, new = int(self.count), fresh[-half:]
        if held >= half:
            shown[:half] = self.pictures[torch.randperm(held, generator=random)[:half]]
        free = min(half, self.room - held)
        self.pictures[held : held + free] = new[:free]
        self.pictures[torch.randperm(self.room, generator=random)[: half - free]] = new[free:]
        self.count += free
        return shown
