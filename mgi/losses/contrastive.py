"""Contrastive loss between two feature maps of the same places (OEFT equations 7-8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

_CHUNK = 1024
"""Anchors compared with all positions at once."""


def info_nce(
    anchors: Tensor, positives: Tensor, tau: float = 0.07, positions: Tensor | None = None, chunk: int = _CHUNK
) -> Tensor:
    """L_cont: how surely f(u) tells f+(u) from f+ at every other position -> [B], the mean over anchors, at least 0.

    Equation 7 with all other points as its N negatives. The paper sums over u; the mean does not depend on how many
    positions there are, or how many are sampled. Equation 8 to the letter: `info_nce_literal`.

    Args:
        anchors: f_S [B, C, H, W], of unit length at every position.
        positives: f_{T->S} [B, C, H, W], likewise; the same position is the positive, all others are negatives.
        tau: the temperature.
        positions: [B, K] indices into the H W positions, row by row: the anchors to use. None: all of them. Negatives
            are always all positions.
        chunk: anchors compared at once. With more anchors than that, products are computed again for the gradient, so
            no more than chunk x H W of them per pair are ever kept. The H W x H W x C products of the equation never
            are.
    """
    total, count = _over_anchors(_surprise, anchors, positives, tau, positions, chunk)
    return total / count


def info_nce_literal(
    anchors: Tensor, positives: Tensor, tau: float = 0.07, positions: Tensor | None = None, chunk: int = _CHUNK
) -> Tensor:
    """L_cont of equation 8 as written -> [B]; arguments as for `info_nce`, of any length.

    sum over u, sum over n in N_u of l(f_S(u), f_{T->S}(u), f_{T->S}(n)), N_u all points but u: every negative stands
    alone in equation 7 (N = 1 there), so each term is log(1 + exp((f(u) . f+(n) - f(u) . f+(u)) / tau)). If anchors are
    sampled, the sum over them is scaled up to all anchors, so it does not depend on how many are drawn.
    """
    total, count = _over_anchors(_doubts, anchors, positives, tau, positions, chunk)
    return total * (anchors.shape[-2] * anchors.shape[-1] / count)


def _over_anchors(
    loss: Callable[[Tensor, Tensor, Tensor, float], Tensor],
    anchors: Tensor,
    positives: Tensor,
    tau: float,
    positions: Tensor | None,
    chunk: int,
) -> tuple[Tensor, int]:
    """The sum of a loss over anchors, [B], and how many there were."""
    keys = positives.flatten(2)
    queries = anchors.flatten(2)
    if positions is None:
        positions = torch.arange(keys.shape[2], device=keys.device).expand(len(keys), -1)
    chunks = positions.split(chunk, dim=1)
    if len(chunks) == 1:
        return loss(queries, keys, positions, tau), positions.shape[1]
    parts = [cast("Tensor", checkpoint(loss, queries, keys, part, tau, use_reentrant=False)) for part in chunks]
    return torch.stack(parts).sum(0), positions.shape[1]


def _logits(queries: Tensor, keys: Tensor, positions: Tensor, tau: float) -> Tensor:
    """f(u) . f+(n) / tau of the given anchors u and all n: [B, C, N], [B, C, N], [B, K] -> [B, K, N]."""
    index = positions[:, None].expand(-1, queries.shape[1], -1)
    return queries.gather(2, index).transpose(1, 2) @ keys / tau


def _surprise(queries: Tensor, keys: Tensor, positions: Tensor, tau: float) -> Tensor:
    """Sum over the given anchors of equation 7, with all other points as its negatives -> [B]."""
    logits = _logits(queries, keys, positions, tau)
    return F.cross_entropy(logits.transpose(1, 2), positions, reduction="none").sum(1)


def _doubts(queries: Tensor, keys: Tensor, positions: Tensor, tau: float) -> Tensor:
    """Sum over the given anchors and all other points of equation 7 with that point as the only negative -> [B]."""
    logits = _logits(queries, keys, positions, tau)
    itself = positions[..., None]
    against = F.softplus(logits - logits.gather(2, itself))
    return against.scatter(2, itself, 0.0).sum((1, 2))  # u is not a negative of u


def info_nce_reference(anchors: Tensor, positives: Tensor, tau: float = 0.07) -> Tensor:
    """Equation 7, one anchor and one score at a time: the same as `info_nce`, for tests on tiny maps."""
    losses = []
    for f, f_warp in zip(anchors.flatten(2), positives.flatten(2), strict=True):
        of_pair = []
        for u in range(f.shape[1]):
            scores = torch.stack([torch.exp(f[:, u] @ f_warp[:, n] / tau) for n in range(f.shape[1])])
            of_pair.append(-torch.log(scores[u] / scores.sum()))
        losses.append(torch.stack(of_pair).mean())
    return torch.stack(losses)
