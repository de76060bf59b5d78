"""docs/metrics.md lists exactly the metrics that there are, each with its facts."""

from __future__ import annotations

import re

import pytest
from places import ROOT

from mgi.metrics.base import Metric, SetMetric
from mgi.metrics.registry import OURS, metric
from mgi.translators.needs import LANE_METRICS

TEXT = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
ROWS = {
    cells[0].strip("`"): cells
    for line in re.findall(r"^\| `.*\|$", TEXT.split("\n## All metrics\n")[1].split("\n## ")[0], flags=re.MULTILINE)
    if (cells := [cell.strip() for cell in line.strip("|").split(" | ")])
}


def expected(one: Metric) -> list[str]:
    """The row of a metric."""
    low, high = (f"{number:g}".replace("inf", "∞") for number in one.range)
    network = ", ".join(f"`{name}`" for name in one.weights) or ("that of the domain" if "domain" in one.needs else "")
    reference = re.sub(r"docs/(\w+\.md)", r"[\1](\1)", one.reference)
    whose = " (whole set)" if isinstance(one, SetMetric) else ""
    return [
        f"`{one.name}`",
        one.summary + whose,
        one.arrow,
        one.unit,
        f"{low} to {high}",
        str(one.rows) if one.rows else "own",
        ", ".join(one.needs),
        network,
        ", ".join(one.tasks) if one.standard else "",
        reference,
    ]


def test_every_metric_has_its_row_in_the_order_of_the_registry() -> None:
    assert list(ROWS) == list(OURS)


@pytest.mark.parametrize("name", OURS)
def test_its_facts_are_those_of_the_registry(name: str) -> None:
    assert ROWS[name] == expected(metric(name))


def test_metrics_of_hypotheses_are_named() -> None:
    section = TEXT.split("\n## Hypotheses and finished images\n")[1].split("\n## ")[0]
    assert all(f"`{name}_before`" in section and f"`{name}_after`" in section for name in LANE_METRICS)


def test_every_link_leads_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)", TEXT):
        assert (ROOT / "docs" / link).exists(), link
