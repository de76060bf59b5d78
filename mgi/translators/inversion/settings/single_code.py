"""Inversion of a single latent code, the baseline of both papers' tables (Lipton and Tripathi 2017; Ma et al. 2018).

One z ~ N(0, I), through the mapping network if there is one, under mGANprior's loss: the papers compare with
mGANprior's own baseline of this name, whose code offers SGD and Adam. Here it is Adam of step size 0.1 for every
generator and profile, because SGD of step size 1 hardly moves one code. The rest is mGANprior's, as docs/methods.md
lists it.
"""

from __future__ import annotations

from typing import Any

from mgi.translators.inversion.settings import mganprior
from mgi.translators.inversion.settings.family import FAMILY
from mgi.translators.needs import inversion_networks
from mgi.translators.registry import Method


def settings(degradation: str) -> dict[str, Any]:
    """One z under mGANprior's loss."""
    own = {"space": "z", "hypotheses": ["L01N01"], "optimizer": "adam", "learning_rate": 0.1}
    return {**mganprior.settings(degradation), **own}


def published(degradation: str) -> dict[str, Any]:
    """As many steps as mGANprior, of Adam."""
    return {**mganprior.published(degradation), **settings(degradation)}  # its space and optimiser stay


METHOD = Method(
    name="single-code",
    summary="one latent code z under mGANprior's loss",
    paper="Lipton and Tripathi 2017; Ma et al. 2018",
    translator=FAMILY,
    needs=inversion_networks,
    settings=settings,
    published=published,
)
