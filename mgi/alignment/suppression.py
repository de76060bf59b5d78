"""Of boxes that overlap, the one with the highest score."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def nms(boxes: Tensor, scores: Tensor, overlap: float) -> Tensor:
    """Indices of the boxes that stay, best first: none overlaps a better one by more than `overlap`.

    Equal to `torchvision.ops.nms`, whose package takes two seconds to import in every process that looks for a face.

    Args:
        boxes: [n, 4], left, top, right, bottom.
        scores: [n].
        overlap: intersection over union, from 0 to 1.
    """
    order = torch.sort(scores, descending=True, stable=True).indices
    left, top, right, bottom = boxes[order].detach().cpu().numpy().astype(np.float32).T
    areas = (right - left) * (bottom - top)
    alive, kept = np.ones(len(areas), bool), []
    for index in range(len(areas)):
        if not alive[index]:
            continue
        kept.append(index)
        later = slice(index + 1, None)
        width = np.minimum(right[index], right[later]) - np.maximum(left[index], left[later])
        height = np.minimum(bottom[index], bottom[later]) - np.maximum(top[index], top[later])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        with np.errstate(divide="ignore", invalid="ignore"):  # boxes without an area
            share = shared / (areas[index] + areas[later] - shared)
        alive[later] &= ~(share.astype(np.float64) > overlap)
    return order[torch.tensor(kept, dtype=torch.long, device=order.device)]
