"""Fine detail that is at the same place in all pictures: dots and strokes that a generator draws into every sample.

A discriminator sees one picture at a time and cannot know, and the score hardly does. Noise averages out over pictures
and such a pattern stays; so is the fixed pattern of a camera's sensor measured. Eyes of aligned faces are at one place,
too.
"""

from __future__ import annotations

from torch import Tensor

from mgi.training.augment import blurred

FINE = 1.0
"""Pixels of the Gaussian blur that is taken off: what is left is fine detail."""


def repeated_share(images: Tensor) -> Tensor:
    """Share of the power of fine detail that is the same in all pictures: 0 for independent ones, 1 for equal ones.

    Each picture is multiplied with the others and never with itself, so independent ones give 0 on average, and now and
    then a little less.

    Args:
        images: [B, 3, R, R] of any range; a single one shares nothing.
    """
    detail = images - blurred(images, FINE)
    power = detail.square().sum()
    with_others = detail.sum(0).square().sum() - power
    return with_others / ((len(images) - 1) * power).clamp(min=1e-12)
