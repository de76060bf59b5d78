"""mGANprior (Gu, Shen, Zhou, CVPR 2020): multi-code inversion at one fixed layer with one fixed number of codes.

Follows the publication: N codes fused after L layers by adaptive channel importance, mean squared error plus 0.001 x L1
of VGG-16 relu3_3; L = 6 and N = 30, for colorization L = 4 and N = 20, weight 0.1 of the feature term for inpainting.
With `inversion.budget = published` also its SGD of step size 1 and its 3000 steps (2000 for super-resolution, 1500 for
colorization). Its tasks are degradations here (`--degrade`), semantic editing is `mgi edit`.

Not as published: Adam with the profile's step size by default, the start of alpha is the profile's (1/N as published
presumes a generator that normalises features), style-based generators (the publication has PGGAN and StyleGAN's first
layers only), and super-resolution compares at the observed size instead of reducing both sides.
"""

from __future__ import annotations

from typing import Any


def settings(degradation: str) -> dict[str, Any]:
    """One hypothesis and the published loss."""
    return {
        "space": "multi",
        "hypotheses": ["L04N20" if degradation == "gray" else "L06N30"],
        "rungs": [],
        "pixel_weight": 1.0,
        "l1_weight": 0.0,
        "perceptual_weight": 0.1 if degradation.startswith("mask") else 1.0,
        "perceptual_layers": ["relu3_3"],
        "perceptual_norm": "mganprior",
        "prior_weight": 0.0,
        "start": "random",
    }


def published(degradation: str) -> dict[str, Any]:
    """SGD without momentum, step size 1."""
    steps = {"gray": 1500}.get(degradation, 2000 if degradation.startswith("down") else 3000)
    return {
        "steps": steps,
        "optimizer": "sgd",
        "learning_rate": 1.0,
        "schedule": "constant",
        "alpha_start": "1/N",
        "coarse_steps": 0,
        "perceptual_size": 256,
    }
