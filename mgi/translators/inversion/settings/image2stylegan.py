"""Image2StyleGAN (Abdal, Qin, Wonka, ICCV 2019): one w per style, from the mean latent.

W+, start at the mean of w, mean squared error of pixels in [0, 1] plus that of VGG-16 features at relu1_1, relu1_2,
relu3_2 and relu4_2, all weights 1, Adam.

`inversion.budget = published` adds its step size of 0.01, its 5000 steps, the squared error at full resolution
(features stay at 256 pixels), and keeps the last step. The paper states no range of pixels: [0, 1] is that of public
reimplementations. Term by term, with every departure: docs/methods.md.
"""

from __future__ import annotations

from typing import Any

from mgi.translators.inversion.settings.family import FAMILY
from mgi.translators.needs import inversion_networks
from mgi.translators.registry import Method


def settings(degradation: str) -> dict[str, Any]:
    """W+ from the mean under plain squared errors."""
    return {
        "space": "w+",
        "hypotheses": ["L01N01"],
        "rungs": [],
        "warm_start": 0,
        "start": "mean",
        "pixel_weight": 1.0,
        "pixel_range": "unit",
        "l1_weight": 0.0,
        "perceptual_weight": 1.0,
        "perceptual_layers": ["relu1_1", "relu1_2", "relu3_2", "relu4_2"],
        "perceptual_norm": "mse",
        "prior_weight": 0.0,
        "optimizer": "adam",
    }


def published(degradation: str) -> dict[str, Any]:
    """5000 small steps, compared at full resolution."""
    return {
        "steps": 5000,
        "learning_rate": 0.01,
        "schedule": "constant",
        "coarse_steps": 0,
        "keep": "last",
        "picture_size": "full",
        "perceptual_size": 256,
    }


METHOD = Method(
    name="image2stylegan",
    summary="one w per style, from the mean latent",
    paper="Abdal, Qin, Wonka, ICCV 2019",
    translator=FAMILY,
    needs=inversion_networks,
    settings=settings,
    published=published,
)
