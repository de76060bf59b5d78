"""Latent spaces: what is optimised. `build_space` makes the one that `inversion.space` names."""

from __future__ import annotations

from mgi.config import Inversion
from mgi.generators import Generator
from mgi.inversion.coarse import CoarseHead
from mgi.inversion.prior import LatentPrior
from mgi.inversion.spaces.base import Space, check_layer
from mgi.inversion.spaces.multi import MultiCode
from mgi.inversion.spaces.single import Sphere, W, WPlus, Z

__all__ = ["MultiCode", "Space", "Sphere", "W", "WPlus", "Z", "build_space", "check_layer"]


def build_space(
    generator: Generator, settings: Inversion, prior: LatentPrior | None = None, head: CoarseHead | None = None
) -> Space:
    """The space of a generator.

    Args:
        generator: any generator.
        settings: `space` names it.
        prior: whitening of w, if the generator has w.
        head: the coarse head, if there is one.

    Raises:
        GeneratorError: the generator has no such space.
    """
    if settings.space in ("multi", "multi-z"):
        return MultiCode(generator, settings, prior, head)
    if settings.space == "sphere":
        return Sphere(generator, settings, head, prior)
    return {"z": Z, "w": W, "w+": WPlus}[settings.space](generator, settings, head)
