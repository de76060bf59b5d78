"""Inception score (Salimans et al. 2016): how sure a classifier is of each image, and how many classes it sees."""

from __future__ import annotations

import math

import numpy as np

from mgi.metrics.reduced import Arrays, Estimate, ReducedMetric
from mgi.metrics.sets.inception import LOGITS, NETWORK

SPLITS = 10


def inception_score(logits: np.ndarray, splits: int = SPLITS) -> np.ndarray:
    """exp of the mean KL divergence of p(class | image) from p(class), of each split of [N, classes] in their order."""
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    parts = np.array_split(log_p.astype(float), max(1, min(splits, len(log_p))))
    return np.array([math.exp((np.exp(p) * (p - np.log(np.exp(p).mean(0)))).sum(1).mean()) for p in parts])


def _compare(results: Arrays, reference: Arrays | None) -> Estimate:
    found = inception_score(results["vectors"])
    half = 1.96 * float(found.std(ddof=1)) / math.sqrt(len(found)) if len(found) > 1 else math.nan
    value = float(found.mean())
    return Estimate(value, value - half, value + half, "of ImageNet's classes: says little about faces")


INCEPTION_SCORE = ReducedMetric(
    name="inception-score",
    summary="how sure Inception is of each image and how many classes it sees, over 10 splits",
    higher_is_better=True,
    range=(1.0, 1008.0),
    rows=0,
    weights=(NETWORK,),
    reference="torchmetrics",
    reduction=LOGITS,
    compare=_compare,
)
