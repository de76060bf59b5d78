"""Structure that an adapted generator keeps of its parent: where edges, eyes and mouths are, whatever their colours.

The structure term of SSIM (Wang et al. 2004, equation 10) between the pictures that both make of the same codes. A
discriminator of patches finds a painting's eyes anywhere, so it asks for none where the parent's are, and they fade;
this term keeps them. Smooth places of the parent have no structure: texture on them is free.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mgi.images import luminance
from mgi.training.augment import blurred

WINDOW = 1.5
"""Standard deviation of the Gaussian window in pixels, as theirs."""
FLOOR = (0.03 * 2) ** 2 / 2
"""Their C3 for a range of 2: where variances are below it, there is no structure."""


def structure_distance(images: Tensor, of_parent: Tensor) -> Tensor:
    """1 - the mean of `structure`: 0 for the same structure at any contrast, up to 2."""
    return 1 - structure(images, of_parent).mean()


def structure(images: Tensor, of_parent: Tensor) -> Tensor:
    """Correlation of luma within a small window around every place, [B, 1, R, R] from -1 to 1; 1 where both are smooth.

    Args:
        images, of_parent: [B, 3, R, R] in [-1, 1], of the same codes.
    """
    x, y = luminance(images), luminance(of_parent)
    local = blurred(torch.cat([x, y, x * x, y * y, x * y]), WINDOW)
    mean_x, mean_y, square_x, square_y, product = local.split(len(x))
    variance_x, variance_y = (square_x - mean_x * mean_x).clamp(min=0), (square_y - mean_y * mean_y).clamp(min=0)
    deviations = (variance_x * variance_y + 1e-12).sqrt()  # the root of 0 has no gradient
    return (product - mean_x * mean_y + FLOOR) / (deviations + FLOOR)
