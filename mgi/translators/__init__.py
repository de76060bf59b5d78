"""Translators make finished images: a source and an exemplar in, an image out. Metrics judge them."""

from mgi.translators.base import (
    Arrays,
    Composed,
    Conditioned,
    Edits,
    Finished,
    Inverts,
    Lane,
    LaneFeatures,
    LaneResult,
    Progress,
    Result,
    ScoreInput,
    Searches,
    Translator,
    TranslatorError,
    Warped,
    Warps,
)
from mgi.translators.loading import load_translator
from mgi.translators.registry import Method, method

__all__ = [
    "Arrays",
    "Composed",
    "Conditioned",
    "Edits",
    "Finished",
    "Inverts",
    "Lane",
    "LaneFeatures",
    "LaneResult",
    "Method",
    "Progress",
    "Result",
    "ScoreInput",
    "Searches",
    "Translator",
    "TranslatorError",
    "Warped",
    "Warps",
    "load_translator",
    "method",
]
