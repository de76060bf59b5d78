"""Cross-domain consistency (Ojha et al. 2021, "Few-shot image generation via cross-domain correspondence").

With few pictures an adapted generator soon makes one and the same picture of every code. So how alike its samples are
among each other must stay as it was in the parent: for every sample, the similarities to the others are a
distribution, and the divergence of the two generators' distributions is a loss (equations 1 and 2).

Ours: every layer counts at every step; the public code draws one layer per sample.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

SAMPLES = 4
"""Codes per step, as in the public code."""


def consistency_loss(features: Sequence[Tensor], of_parent: Sequence[Tensor]) -> Tensor:
    """Divergence of the samples' similarities from the parent's, mean over samples, pairs and layers; 0 if they agree.

    The public code's unit (`KLDivLoss` with its default mean over elements), in which it has the weight 1000.

    Args:
        features: of the adapted generator, [B, C, h, w] per layer, of the same codes as
        of_parent: of its parent.
    """
    parts = []
    for mine, theirs in zip(features, of_parent, strict=True):
        found, expected = _similarities(mine), _similarities(theirs.detach())
        divergence = F.kl_div(found.log_softmax(1), expected.softmax(1), reduction="batchmean")
        parts.append(divergence / found.shape[1])
    return torch.stack(parts).mean()


def _similarities(features: Tensor) -> Tensor:
    """[B, B - 1]: cosines of each sample with the others."""
    flat = F.normalize(features.float().flatten(1), dim=1)
    count = len(flat)
    others = ~torch.eye(count, dtype=torch.bool, device=flat.device)
    return (flat @ flat.t())[others].view(count, count - 1)
