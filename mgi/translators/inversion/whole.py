"""The whole search for one pair in one call, for notebooks and tests: the steps of the pipeline without a store."""

from __future__ import annotations

import numpy as np

from mgi.pairs import Hypothesis, lane_seed
from mgi.translators.base import Lane, LaneResult, Progress, Result, ScoreInput, Searches, TranslatorError, Warped

PAIR = "pair"
"""The pair's name, which lanes derive their seeds from."""


def translate_whole(
    translator: Searches,
    warped: Warped,
    exemplar: np.ndarray,
    seed: int,
    progress: Progress | None = None,
    source: np.ndarray | None = None,
) -> Result:
    """Invert a warp (or an observed picture) under every hypothesis, score, choose and render.

    Args:
        warped: what to invert.
        exemplar: uint8 [S, S, 3], the pair's; if a picture is inverted, the whole picture.
        seed: for everything random. It must be the one that `warped` was observed with: its mask is drawn from it
            again.
        source: uint8 [S, S, 3], the pair's; None if a picture is inverted.

    Raises:
        TranslatorError: every hypothesis failed.
    """
    config = translator.config
    good = invert_all(translator, warped, exemplar, seed, progress, source)
    reference = translator.reference_features(warped.warp, exemplar)
    inputs = [ScoreInput(h, result.arrays["features"], result.measures, reference) for h, result in good.items()]
    table = [
        {"hypothesis": hypothesis.id, **result.measures, **scores}
        for (hypothesis, result), scores in zip(good.items(), translator.score(inputs), strict=True)
    ]
    if config.selection.rule == "set-fid":  # the pair is the whole set
        features = {hypothesis.id: result.arrays["features"] for hypothesis, result in good.items()}
        (choice,) = translator.select_set([table], lambda _, hypothesis: features[hypothesis])
    else:
        choice = translator.select(table)
    chosen = next(hypothesis for hypothesis in good if hypothesis.id == choice["hypothesis"])
    arrays = good[chosen].arrays
    image = translator.render(arrays, chosen, seen=warped.warp)
    info: dict[str, float | str] = {**warped.info, "hypothesis": chosen.id, "rule": str(choice["rule"])}
    return Result(image, warped.warp, good[chosen].measures, info, arrays)


def invert_all(
    translator: Searches,
    warped: Warped,
    exemplar: np.ndarray,
    seed: int,
    progress: Progress | None = None,
    source: np.ndarray | None = None,
) -> dict[Hypothesis, LaneResult]:
    """The results of all hypotheses that did not fail; arguments as of `translate_whole`.

    Raises:
        TranslatorError: every hypothesis failed.
    """
    pair = None if source is None else (source, exemplar)
    confidence = warped.arrays.get("confidence")
    truth = exemplar if translator.config.degrades else None
    results: dict[Hypothesis, LaneResult] = {}
    for group in translator.groups:
        lanes = [Lane(PAIR, warped.warp, h, lane_seed(seed, PAIR, h.id), truth, seed, confidence, pair) for h in group]
        results |= dict(zip(group, translator.invert(lanes, progress), strict=True))
    good = {hypothesis: result for hypothesis, result in results.items() if not result.failed}
    if not good:
        reasons = "; ".join(f"{hypothesis.id}: {result.failed}" for hypothesis, result in results.items())
        raise TranslatorError(f"every hypothesis failed ({reasons})")
    return good
