"""How close a lane came to its target, by the same metrics for all methods, whatever they optimise."""

from __future__ import annotations

import torch
from torch import Tensor

from mgi.degradations import Degradation
from mgi.features import Backbone
from mgi.metrics.l2 import squared_error
from mgi.metrics.psnr import psnr_db
from mgi.metrics.vgg import vgg_distance


@torch.no_grad()
def observed(image: Tensor, operator: Degradation, seen: Tensor, picture: int, network: Backbone) -> dict[str, float]:
    """`l2` and `vgg` of an image [1, 3, S, S], degraded as the picture was, to what was observed of it.

    Args:
        operator: of P pictures.
        seen: [P, 3, S, S].
        picture: which of them the image is of.
        network: that of the metric `vgg`.
    """
    target, degraded = operator.shrink(seen[picture : picture + 1]), operator(image, [picture])
    return {"l2": squared_error(degraded, target), "vgg": vgg_distance(degraded, target, network)}


@torch.no_grad()
def truth(image: Tensor, whole: Tensor, network: Backbone) -> dict[str, float]:
    """`true_psnr` in dB and `true_vgg` of an image to the whole picture, both [1, 3, S, S]."""
    return {"true_psnr": psnr_db(image, whole), "true_vgg": vgg_distance(image, whole, network)}
