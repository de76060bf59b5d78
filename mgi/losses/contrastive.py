"""Contrastive loss between two feature maps of the same places (OEFT equations 7-8)."""

from __future__ import annotations

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

    The paper sums over u; the mean does not depend on how many positions there are, or how many are sampled.

    Args:
        anchors: f_S [B, C, H, W], of unit length at every position.
        positives: f_{T->S} [B, C, H, W], likewise; the same position is the positive, all others are negatives.
        tau: the temperature.
        positions: [B, K] indices into the H W positions, row by row: which anchors count. None: all of them. Negatives
            are always all positions.
        chunk: anchors compared at once. With more anchors than that, products are computed again for the gradient, so
            that no more than chunk x H W of them per pair are ever kept; the H W x H W x C of the equation never are.
    """
    keys = positives.flatten(2)
    queries = anchors.flatten(2)
    if positions is None:
        positions = torch.arange(keys.shape[2], device=keys.device).expand(len(keys), -1)
    chunks = positions.split(chunk, dim=1)
    if len(chunks) == 1:
        return _surprise(queries, keys, positions, tau) / positions.shape[1]
    parts = [cast("Tensor", checkpoint(_surprise, queries, keys, part, tau, use_reentrant=False)) for part in chunks]
    return torch.stack(parts).sum(0) / positions.shape[1]


def _surprise(queries: Tensor, keys: Tensor, positions: Tensor, tau: float) -> Tensor:
    """Sum over the given anchors of equation 7: [B, C, N], [B, C, N], [B, K] -> [B]."""
    index = positions[:, None].expand(-1, queries.shape[1], -1)
    logits = queries.gather(2, index).transpose(1, 2) @ keys / tau  # [B, K, N]
    return F.cross_entropy(logits.transpose(1, 2), positions, reduction="none").sum(1)


def info_nce_reference(anchors: Tensor, positives: Tensor, tau: float = 0.07) -> Tensor:
    """Equations 7-8 as they are written, every anchor and every negative by itself; for tests on tiny maps."""
    losses = []
    for f, f_warp in zip(anchors.flatten(2), positives.flatten(2), strict=True):
        of_pair = []
        for u in range(f.shape[1]):
            scores = torch.stack([torch.exp(f[:, u] @ f_warp[:, n] / tau) for n in range(f.shape[1])])
            of_pair.append(-torch.log(scores[u] / scores.sum()))
        losses.append(torch.stack(of_pair).mean())
    return torch.stack(losses)
