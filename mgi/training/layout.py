"""What is where in a sample stays as it is in the parent: other colours and lines, but no dark patch on a face.

Every place of a picture is described by how alike its features are to those of every other place (Shechtman and Irani
2007). That says which parts there are, and nothing of their colours. Xiao et al. 2022 ("Few shot generative model
adaption via relaxed spatial structural alignment") keep such correlations of the generator's features; ours are of a
pretrained network's, which sees the picture as people do: whatever the image head adds is seen, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mgi.correspondence.matching import normalise
from mgi.features import Backbone
from mgi.images import resize

SAMPLES = 4
"""Codes per step."""
ROWS = 128
"""Rows that pictures are enlarged to for the network."""


def layout_distance(images: Tensor, of_parent: Tensor, backbone: Backbone, layers: Sequence[str]) -> Tensor:
    """Mean over samples, layers and pairs of places of |likeness - the parent's likeness|, in [0, 2]; 0 if they agree.

    Args:
        images: [B, 3, R, R] in [-1, 1], of the same codes as
        of_parent: its parent's.
        backbone: a pretrained network.
        layers: of it; a layer of h x w has (h w)^2 pairs.
    """
    with torch.no_grad():
        expected = backbone(_enlarged(of_parent), layers)
    found = backbone(_enlarged(images), layers)
    parts = [(_likeness(found[layer]) - _likeness(expected[layer])).abs().mean() for layer in layers]
    return torch.stack(parts).mean()


def _enlarged(images: Tensor) -> Tensor:
    return images if images.shape[-1] >= ROWS else resize(images, ROWS)


def _likeness(features: Tensor) -> Tensor:
    """Cosines of every place with every other: [B, C, h, w] -> [B, h w, h w]."""
    flat = normalise(features.float()).flatten(2)
    return flat.transpose(1, 2) @ flat
