"""What a picture went through: fewer pixels, grey, masks, rain, noise, JPEG; one after the other, each from a seed."""

from mgi.degradations.operator import OPACITIES, Degradation, build, with_luminance

__all__ = ["OPACITIES", "Degradation", "build", "with_luminance"]
