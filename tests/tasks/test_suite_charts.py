"""Charts of an evaluation."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from tasks.suites.charts import ablation_chart, distribution_chart
from tasks.suites.frame import frame_of
from tasks.suites.summary import summarise


def table(*methods: str, pairs: int = 3) -> pd.DataFrame:
    shared: dict[str, Any] = {"suite": "s", "version": 1, "higher_is_better": False, "status": "ok"}
    return frame_of(
        {**shared, "method": name, "metric": metric, "pair_id": f"p{pair}", "value": place + pair / 7}
        for place, name in enumerate(methods)
        for metric in ("style", "seconds")
        for pair in range(pairs)
    )


SINGLES = ("mgi-single-l04n10", "mgi-single-l06n10", "mgi-single-l06n30")


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        (("mgi", *SINGLES, "pulse"), ["N = 10", "N = 30", "L = 4", "L = 6", "chosen per pair"]),
        ((*SINGLES, "pulse"), ["N = 10", "L = 4"]),
    ],
)
def test_an_ablation_has_a_line_per_layer_and_per_number_of_codes(methods: tuple[str, ...], said: list[str]) -> None:
    chart = ablation_chart(summarise(table(*methods), methods[0]), "style")
    assert chart is not None
    text = chart.decode()
    assert all(f">{words}</text>" in text for words in said)
    assert ("chosen per pair" in text) == ("mgi" in methods)  # that row tried these hypotheses, pulse did not


def test_a_single_hypothesis_is_no_ablation() -> None:
    for methods in (("mgi", "pulse"), ("mgi", "mgi-single-l04n10")):
        assert ablation_chart(summarise(table(*methods), "mgi"), "style") is None
    assert ablation_chart(summarise(table("mgi", *SINGLES), "mgi"), "psnr") is None


def test_every_metric_of_pairs_has_its_boxes() -> None:
    chart = distribution_chart(table("mgi", "pulse"), ["style", "seconds", "psnr"])
    assert chart is not None and all(
        f">{name}</text>" in chart.decode() for name in ("style", "seconds", "mgi", "pulse")
    )
    assert "psnr" not in chart.decode()
    assert distribution_chart(table("mgi", pairs=1), ["style"]) is None
    assert chart == distribution_chart(table("mgi", "pulse"), ["style", "seconds", "psnr"])
