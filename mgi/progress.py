"""What methods tell of their progress, beside how far they are."""

from __future__ import annotations


class CoarseLoss(float):
    """A loss through the generator's coarse head, with which no loss of full pictures compares."""
