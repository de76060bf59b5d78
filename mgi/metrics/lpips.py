"""LPIPS to the warp (Zhang et al., CVPR 2018), VGG-16 variant; its network has to be downloaded."""

from __future__ import annotations

import torch
from torch import Tensor

from mgi.features.lpips import LAYERS
from mgi.features.lpips import LPIPS as LpipsNetwork
from mgi.losses.perceptual import perceptual_lpips
from mgi.metrics.base import Networks, PairMetric, Views

NETWORK = "lpips-vgg"


@torch.no_grad()
def lpips_distance(image: Tensor, target: Tensor, network: LpipsNetwork) -> float:
    """LPIPS of images [1, 3, H, W] in [-1, 1]; equal to the package's `LPIPS(net="vgg")`."""
    features, of_target = (network(images, LAYERS) for images in (image, target))
    return float(perceptual_lpips(features, of_target, network.heads)[0])


def _measure(views: Views, networks: Networks) -> float:
    network = networks(NETWORK)
    assert views.warp is not None and isinstance(network, LpipsNetwork)
    return lpips_distance(views.result, views.warp, network)


LPIPS = PairMetric(
    name="lpips",
    summary="LPIPS from the warp, VGG-16 variant",
    needs=("warp",),
    weights=(NETWORK,),
    reference="lpips",
    measure=_measure,
)
