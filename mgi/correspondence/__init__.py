"""Matching a source with an exemplar, and warping the exemplar's colours into the source's structure.

`mgi.correspondence.oeft` fine-tunes the features for one pair first.
"""

from mgi.correspondence.matching import (
    correlation,
    hierarchical_features,
    normalise,
    soft_warp,
    soft_warp_reference,
    warp_exemplar,
)

__all__ = [
    "correlation",
    "hierarchical_features",
    "normalise",
    "soft_warp",
    "soft_warp_reference",
    "warp_exemplar",
]
