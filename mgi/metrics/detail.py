"""How much detail a result has against its domain (`mgi.metrics.bands`): is it as sharp as the generator's samples?"""

from __future__ import annotations

import math
from functools import partial

from mgi.metrics.base import Networks, PairMetric, Views


def _measure(views: Views, networks: Networks, band: int | None) -> float:
    assert views.detail is not None
    ratios = views.detail.ratios(views.result)
    return ratios[band] if band is not None else min((r for r in ratios if not math.isnan(r)), default=math.nan)


def _metric(name: str, summary: str, band: int | None) -> PairMetric:
    return PairMetric(
        name=name,
        summary=summary,
        needs=("detail",),
        higher_is_better=True,
        unit="of the domain's",
        rows=0,
        reference="docs/warps.md",
        standard=band is None,
        measure=partial(_measure, band=band),
    )


DETAIL = _metric("detail", "detail of the weakest of four bands, as a share of the domain's", None)
DETAIL_1 = _metric("detail-1", "detail at the result's own pixels, as a share of the domain's", 0)
DETAIL_2 = _metric("detail-2", "detail at half as many rows, as a share of the domain's", 1)
DETAIL_3 = _metric("detail-3", "detail at a quarter of the rows, as a share of the domain's", 2)
DETAIL_4 = _metric("detail-4", "detail at an eighth of the rows, as a share of the domain's", 3)
