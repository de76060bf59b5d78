"""The projector of StyleGAN2 (Karras et al., CVPR 2020, appendix D): one w for all layers, and noise maps.

W from the mean latent, a perceptual distance only, Gaussian noise on every dimension of w that fades out over the first
three quarters of the steps (0.05 of w's spread), Adam of step size 0.1 that rises from 0 over 5 % of the steps and
falls by a cosine over the last quarter. Noise maps are optimised under the autocorrelation loss (weight 1e5) and
brought back to mean 0 and variance 1 after every step. The last step is kept: earlier losses belong to a w with noise.

`inversion.budget = published` adds its 1000 steps, LPIPS (`mgi weights fetch lpips-vgg` downloads its network) and all
noise maps. Otherwise the distance is `unit`, LPIPS without its learnt channel weights on the VGG-16 that ships here,
and maps above `inversion.noise_rows` rows stay the stored ones. Term by term: docs/methods.md.
"""

from __future__ import annotations

from typing import Any

from mgi.translators.inversion.settings.family import FAMILY
from mgi.translators.needs import inversion_networks
from mgi.translators.registry import Method


def settings(degradation: str) -> dict[str, Any]:
    """W under a perceptual distance."""
    return {
        "space": "w",
        "hypotheses": ["L01N01"],
        "rungs": [],
        "warm_start": 0,
        "start": "mean",
        "pixel_weight": 0.0,
        "l1_weight": 0.0,
        "perceptual_weight": 1.0,
        "perceptual_layers": ["relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"],
        "perceptual_norm": "unit",
        "prior_weight": 0.0,
        "latent_noise": 0.05,
        "noise": "optimised",
        "noise_weight": 1e5,
        "optimizer": "adam",
        "learning_rate": 0.1,
        "schedule": "cosine",
        "keep": "last",
    }


def published(degradation: str) -> dict[str, Any]:
    """1000 steps of LPIPS at 256 pixels, every noise map."""
    return {
        "steps": 1000,
        "coarse_steps": 0,
        "perceptual_size": 256,
        "perceptual_backbone": "lpips-vgg",
        "perceptual_norm": "lpips",
        "noise_rows": 1024,
    }


METHOD = Method(
    name="stylegan2-projector",
    summary="one w for all layers, and noise maps, under a perceptual distance",
    paper="Karras et al., CVPR 2020, appendix D",
    translator=FAMILY,
    needs=inversion_networks,
    settings=settings,
    published=published,
)
