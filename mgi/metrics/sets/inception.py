"""What FID, KID and the Inception score look at: Inception-v3's last layers (the network of pytorch-fid).

`fid` brings images to 299 x 299 as pytorch-fid does, inside the network and without antialiasing; `fid-clean` as
clean-fid does, by Pillow's bicubic filter in floating point (Parmar et al., CVPR 2022).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mgi.metrics.base import Networks
from mgi.metrics.reduced import Arrays, Reduction, vectors

NETWORK = "inception-fid"
SIDE = 299


def clean_resize(images: Tensor) -> Tensor:
    """[B, 3, H, W] in [-1, 1] -> [B, 3, 299, 299], each channel by Pillow's bicubic filter, clipped and not rounded."""
    if images.shape[-2:] == (SIDE, SIDE):
        return images
    levels = images.add(1).mul(127.5).clamp(0, 255).cpu().numpy()
    small = [
        [np.asarray(Image.fromarray(plane, "F").resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for plane in image]
        for image in levels
    ]
    return torch.from_numpy(np.stack(small)).clamp(0, 255).div(127.5).sub(1).to(images.device)


def _pool3(images: Iterable[Tensor], networks: Networks) -> Arrays:
    network = networks(NETWORK)
    return vectors(images, lambda batch: network(batch, ["pool3"])["pool3"].flatten(1))


def clean_levels(images: Tensor) -> Tensor:
    """What clean-fid shows the network: levels of 0 to 255, less 128 and over 128; pytorch-fid has 127.5 for both."""
    return clean_resize(images).add(1).mul(127.5).sub(128).div(128)


def _clean(images: Iterable[Tensor], networks: Networks) -> Arrays:
    network = networks(NETWORK)
    return vectors(images, lambda batch: network(clean_levels(batch), ["pool3"])["pool3"].flatten(1))


def _logits(images: Iterable[Tensor], networks: Networks) -> Arrays:
    network = networks(NETWORK)
    return vectors(images, lambda batch: network(batch, ["logits"])["logits"].flatten(1))


POOL3 = Reduction("inception-pool3", _pool3, (NETWORK,), "bilinear to 299, as pytorch-fid")
CLEAN = Reduction("inception-clean", _clean, (NETWORK,), "bicubic to 299, as clean-fid", version=2)
LOGITS = Reduction("inception-logits", _logits, (NETWORK,), "bilinear to 299, as pytorch-fid")
