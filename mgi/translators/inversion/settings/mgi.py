"""Multiple GAN Inversion (Kang, arXiv 2103.14471): invert under every hypothesis, keep the best by a Frechet distance.

Follows the paper: correspondence by equations 1-6, inversion by equation 7 with multi-code composing (mGANprior) at
layers 4 to 8 with 10 to 40 codes, the final image g = y_{n*} with n* = argmin_n k_n. Where the paper says nothing or a
literal reading fails, the choice is an option: the distance k_n of one image (`selection.rule`), the generator and its
latent prior, the schedule, and a guard on fidelity. Not in the paper: successive halving (`inversion.rungs`), warm
starts (`inversion.warm_start`), whitened w with one style per layer of the tail, coarse steps. Term by term, with every
departure: docs/methods.md.
"""

from __future__ import annotations

from typing import Any

from mgi.translators.inversion.settings.family import FAMILY
from mgi.translators.needs import inversion_networks
from mgi.translators.registry import Method

_PUBLISHED = {"space": "multi-z", "keep": "last", "downscale": "bilinear", "perceptual_resize": "nearest"}
"""What mGANprior's code does where its paper and MGI's say nothing."""


def settings(degradation: str) -> dict[str, Any]:
    """The settings that make the method; hypotheses and schedule come from the profile."""
    return {"space": "multi"}


def published(degradation: str) -> dict[str, Any]:
    """What the paper states besides: it refers to mGANprior's defaults."""
    return {**_PUBLISHED, "steps": 2000, "rungs": [], "warm_start": 0}


METHOD = Method(
    name="mgi",
    summary="multi-code inversion under every hypothesis; a Frechet distance chooses",
    paper="Kang 2021, arXiv 2103.14471",
    translator=FAMILY,
    needs=inversion_networks,
    settings=settings,
    published=published,
)
