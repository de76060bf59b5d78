"""Inversion of a single latent code, the baseline of both papers' tables (Lipton and Tripathi 2017; Ma et al. 2018).

One z ~ N(0, I), through the mapping network where there is one, under mGANprior's loss: the papers compare with
mGANprior's own baseline of this name. Not as published: Adam for every generator.
"""

from __future__ import annotations

from typing import Any

from mgi.methods import mganprior


def settings(degradation: str) -> dict[str, Any]:
    """One z under mGANprior's loss."""
    return {**mganprior.settings(degradation), "space": "z", "hypotheses": ["L01N01"]}


def published(degradation: str) -> dict[str, Any]:
    """As many steps as mGANprior, of Adam."""
    return {"steps": mganprior.published(degradation)["steps"], "schedule": "constant", "coarse_steps": 0}
