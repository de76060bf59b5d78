"""mGANprior (Gu, Shen, Zhou, CVPR 2020): multi-code inversion at one fixed layer with one fixed number of codes.

N codes fused after L layers by adaptive channel importance, mean squared error plus 0.001 x L1 of VGG-16 relu3_3 on
unit-variance pixels; L = 6 and N = 30, for colorization L = 4 and N = 20 (the result keeps the grey picture's
luminance), for inpainting L = 4 and N = 30 with weight 0.1 of the feature term. Its tasks are degradations here
(`--degrade`), semantic editing is `mgi edit`.

`inversion.budget = published` adds its SGD of step size 1, its steps (3000; 2000 for super-resolution, 1500 for
colorization), comparison at full size, nearest and bilinear resizing, and keeps the last step. Term by term, with every
departure: docs/methods.md.
"""

from __future__ import annotations

from typing import Any

from mgi.translators.inversion.settings.family import FAMILY
from mgi.translators.needs import inversion_networks
from mgi.translators.registry import Method


def settings(degradation: str) -> dict[str, Any]:
    """One hypothesis and the published loss."""
    gray, mask = degradation == "gray", degradation.startswith("mask")
    return {
        "space": "multi",
        "hypotheses": ["L04N20" if gray else "L04N30" if mask else "L06N30"],
        "rungs": [],
        "warm_start": 0,
        "pixel_weight": 1.0,
        "l1_weight": 0.0,
        "perceptual_weight": 0.1 if mask else 1.0,
        "perceptual_layers": ["relu3_3"],
        "perceptual_norm": "mganprior",
        "prior_weight": 0.0,
        "start": "random",
        "merge": "luminance" if gray else "none",
    }


def published(degradation: str) -> dict[str, Any]:
    """SGD without momentum, step size 1, to its last step."""
    steps = {"gray": 1500}.get(degradation, 2000 if degradation.startswith("down") else 3000)
    return {
        "space": "multi-z",
        "steps": steps,
        "optimizer": "sgd",
        "learning_rate": 1.0,
        "schedule": "constant",
        "alpha_start": "1/N",
        "coarse_steps": 0,
        "keep": "last",
        "picture_size": "full",
        "downscale": "bilinear",
        "perceptual_size": 256,
        "perceptual_resize": "nearest",
    }


METHOD = Method(
    name="mganprior",
    summary="multi-code inversion at one fixed layer with one fixed number of codes",
    paper="Gu, Shen, Zhou, CVPR 2020",
    translator=FAMILY,
    needs=inversion_networks,
    settings=settings,
    published=published,
)
