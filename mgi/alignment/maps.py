"""Maps that lie on a picture, such as its labels: cut to the same square as the picture is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.alignment.template import points


def align_map(values: Tensor, picture: tuple[int, int], quad: Tensor, size: int) -> Tensor:
    """[C, h, w] -> [C, size, size], every value from the nearest place; beyond the edge, from the edge.

    Args:
        values: a map of the whole picture, of any size.
        picture: rows and columns of the picture.
        quad: corners of the square in the picture's pixels, as `template.face_quad`.
        size: rows of what is cut out.
    """
    grid = (points(quad, size) / torch.tensor([picture[1], picture[0]]) * 2 - 1)[None].to(values.dtype)
    return F.grid_sample(values[None], grid, mode="nearest", padding_mode="border", align_corners=False)[0]
