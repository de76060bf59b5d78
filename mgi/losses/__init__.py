"""Losses, one equation per function; each returns one value per lane, [B]."""

from mgi.losses.contextual import contextual, contextual_literal, contextual_similarity
from mgi.losses.contrastive import info_nce, info_nce_literal, info_nce_reference
from mgi.losses.detail import detail_shortfall
from mgi.losses.gram import gram, gram_literal, gram_relative
from mgi.losses.latent import geodesic_cross, noise_autocorrelation
from mgi.losses.perceptual import (
    PerceptualNorm,
    perceptual,
    perceptual_mganprior,
    perceptual_relative,
)
from mgi.losses.pixel import l1, l2

__all__ = [
    "PerceptualNorm",
    "contextual",
    "contextual_literal",
    "contextual_similarity",
    "detail_shortfall",
    "geodesic_cross",
    "gram",
    "gram_literal",
    "gram_relative",
    "info_nce",
    "info_nce_literal",
    "info_nce_reference",
    "l1",
    "l2",
    "noise_autocorrelation",
    "perceptual",
    "perceptual_mganprior",
    "perceptual_relative",
]
