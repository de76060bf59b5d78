"""PULSE (Menon et al., CVPR 2020): search the sphere of likely latents for a picture that scales down to what is seen.

Follows the publication: one point per style on the sphere of radius sqrt(D), brought to w by a Gaussian fit of the
mapping network's output before its last activation; the squared error after scaling down (weight 100) and the geodesic
cross loss (weight 0.05), no feature network; spherical gradient descent with Adam 0.4 and its cyclic schedule, 100
steps (`inversion.budget = published`).

Not as published: the Gaussian fit whitens along principal directions instead of each dimension alone; all styles start
at one point, so that the start is a face of the generator's; stored noise (`--set inversion.noise=optimised` optimises
the first maps, as published); no early stop at a target error. Without `--degrade downF`
nothing is scaled down and PULSE is an inversion under pixels only.
"""

from __future__ import annotations

from typing import Any


def settings(degradation: str) -> dict[str, Any]:
    """Pixels and the cross loss on the sphere."""
    return {
        "space": "sphere",
        "hypotheses": ["L01N01"],
        "rungs": [],
        "pixel_weight": 100.0,
        "l1_weight": 0.0,
        "perceptual_weight": 0.0,
        "geodesic_weight": 0.05,
        "prior_weight": 0.0,
        "noise": "stored",
        "optimizer": "adam",
        "learning_rate": 0.4,
        "schedule": "cycle",
    }


def published(degradation: str) -> dict[str, Any]:
    """100 steps, all of them at full size."""
    return {"steps": 100, "coarse_steps": 0}
