"""PULSE (Menon et al., CVPR 2020): search the sphere of likely latents for a picture that scales down to what is seen.

One point per style on the sphere of radius sqrt(D), brought to w by a Gaussian fit of the mapping network's output
before its last activation; 100 x the squared error of pixels in [0, 1] after bicubic scaling down, which counts no less
than eps = 0.002, plus 0.05 x the geodesic cross loss, no feature network; spherical gradient descent with Adam 0.4 and
its cyclic schedule. The cross loss compares w, as the public code does; `inversion.geodesic_on = sphere` compares the
points before, as the text says. Without `--degrade downF` only the generator's image is scaled down.

`inversion.budget = published` adds its 100 steps, a fit of each dimension by itself, a separate random start for every
style, and keeps the last step. Not as published: stored noise (`--set inversion.noise=optimised` optimises the first
maps). Term by term, with every departure: docs/methods.md.
"""

from __future__ import annotations

from typing import Any

from mgi.translators.inversion.settings.family import FAMILY
from mgi.translators.needs import inversion_networks
from mgi.translators.registry import Method


def settings(degradation: str) -> dict[str, Any]:
    """Pixels and the cross loss on the sphere."""
    return {
        "space": "sphere",
        "hypotheses": ["L01N01"],
        "rungs": [],
        "warm_start": 0,
        "pixel_weight": 100.0,
        "pixel_range": "unit",
        "pixel_floor": 2e-3,
        "downscale": "bicubic",
        "l1_weight": 0.0,
        "perceptual_weight": 0.0,
        "geodesic_weight": 0.05,
        "geodesic_on": "w",
        "prior_weight": 0.0,
        "noise": "stored",
        "optimizer": "adam",
        "learning_rate": 0.4,
        "schedule": "cycle",
    }


def published(degradation: str) -> dict[str, Any]:
    """100 steps, all of them at full size."""
    return {
        "steps": 100,
        "coarse_steps": 0,
        "keep": "last",
        "picture_size": "full",
        "sphere_fit": "diagonal",
        "sphere_start": "each",
    }


METHOD = Method(
    name="pulse",
    summary="a search on the sphere of likely latents for what scales down to the picture",
    paper="Menon et al., CVPR 2020",
    translator=FAMILY,
    needs=inversion_networks,
    settings=settings,
    published=published,
)
