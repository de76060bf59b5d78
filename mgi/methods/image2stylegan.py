"""Image2StyleGAN (Abdal, Qin, Wonka, ICCV 2019): one w per style, from the mean latent.

Follows the publication: W+, start at the mean of w, mean squared error plus VGG-16 features at relu1_1, relu1_2,
relu3_2 and relu4_2 with all weights 1, images compared at 256 pixels, Adam of step size 0.01 and 5000 steps
(`inversion.budget = published`).

Not as published: fewer, larger steps within a profile's budget, and its schedule; features are those of the VGG-16
that ships here, brought to the scale of unit-variance pixels.
"""

from __future__ import annotations

from typing import Any


def settings(degradation: str) -> dict[str, Any]:
    """W+ from the mean under raw squared errors."""
    return {
        "space": "w+",
        "hypotheses": ["L01N01"],
        "rungs": [],
        "start": "mean",
        "pixel_weight": 1.0,
        "l1_weight": 0.0,
        "perceptual_weight": 1.0,
        "perceptual_layers": ["relu1_1", "relu1_2", "relu3_2", "relu4_2"],
        "perceptual_norm": "mse",
        "prior_weight": 0.0,
        "optimizer": "adam",
    }


def published(degradation: str) -> dict[str, Any]:
    """5000 small steps."""
    return {
        "steps": 5000,
        "learning_rate": 0.01,
        "schedule": "constant",
        "coarse_steps": 0,
        "perceptual_size": 256,
    }
