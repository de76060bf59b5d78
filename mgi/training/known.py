"""Translations whose right answer is known, because styles of the generator's own samples are mixed.

Of three faces a, b, c the source is (coarse styles of a, fine ones of c), the exemplar (coarse b, fine a). What a
translation should be is then a itself: the source's structure in the exemplar's colours.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mgi.generators import StyledGenerator

MIX_ROWS = 32
"""Styles of layers up to so many rows are coarse: pose, shape, hair. Later ones are colours and texture."""
TRUNCATION = 0.8


class Known(NamedTuple):
    """Pictures [1, 3, R, R] in [-1, 1]."""

    source: Tensor
    exemplar: Tensor
    truth: Tensor


@torch.no_grad()
def known_translation(generator: StyledGenerator, seed: int, down: int = 1) -> Known:
    """The three pictures of a seed, at the generator's rows / down.

    Args:
        generator: one with styles that can truncate.
        seed: of the three faces.
        down: pictures are averaged over down x down pixels.
    """
    z = torch.randn(3, generator.z_dim, generator=torch.Generator().manual_seed(seed))
    device = next(iter(generator.state_dict().values())).device
    w = generator.truncate(generator.to_w(z.to(device)), TRUNCATION)
    a, b, c = w.split(1)
    coarse = max(layer for layer in range(1, generator.layers + 1) if generator.layer_size(layer) <= MIX_ROWS)
    cut = generator.styles - generator.tail_styles(coarse)

    def mixed(first: Tensor, then: Tensor) -> Tensor:
        w = torch.cat([first[:, :cut], then[:, cut:]], dim=1)
        tail = w[:, -generator.tail_styles(1) :]
        return generator.render(generator.head(w, 1), 1, tail, down=down).clamp(-1, 1)

    return Known(mixed(a, c), mixed(b, a), mixed(a, a))
