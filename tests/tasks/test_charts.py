"""Loss curves land inside the chart, in the right direction, whatever the losses are."""

import numpy as np
import pytest

from mgi.profiles import load_config
from tasks.report.charts import BOTTOM, HEIGHT, LEFT, POINTS, RIGHT, TOP, WIDTH, coarse_steps, loss_chart, mean_losses


def points(text: str) -> np.ndarray:
    return np.array([[float(number) for number in pair.split(",")] for pair in text.split()])


@pytest.mark.parametrize(
    "loss",
    [
        np.geomspace(1, 1e-3, 3000),
        np.full(10, 0.5),
        np.array([0.25]),
        np.array([np.nan, 1.0, np.inf, 0.0, 0.5]),
        np.geomspace(0.31, 0.29, 50),
        np.geomspace(1e4, 1e-8, 50),
    ],
    ids=["long", "flat", "single", "holes", "narrow", "wide"],
)
def test_curves_stay_inside(loss: np.ndarray) -> None:
    chart = loss_chart({"L05N10": loss})
    assert chart is not None
    curve = points(chart.curves[0].parts[0])
    assert 1 <= len(curve) <= POINTS and np.all(np.diff(curve[:, 0]) > 0)
    assert curve[:, 0].min() >= LEFT and curve[:, 0].max() <= WIDTH - RIGHT
    assert curve[:, 1].min() >= TOP and curve[:, 1].max() <= HEIGHT - BOTTOM
    assert chart.curves[0].final == loss[np.isfinite(loss) & (loss > 0)][-1]
    for x, _ in chart.x_ticks:
        assert LEFT <= x <= WIDTH - RIGHT
    labels = [label for _, label in chart.y_ticks]
    assert 2 <= len(labels) <= 9 and len(set(labels)) == len(labels)


def test_falling_loss_falls_and_the_chosen_lies_on_top() -> None:
    falling, rising = np.geomspace(1, 0.1, 20), np.geomspace(0.1, 1, 20)
    chart = loss_chart({"L04N10": falling, "L05N10": rising}, chosen="L04N10")
    assert chart is not None
    assert [curve.name for curve in chart.curves] == ["L05N10", "L04N10"]
    assert chart.curves[-1].chosen and chart.curves[-1].series == 0
    assert np.all(np.diff(points(chart.curves[-1].parts[0])[:, 1]) > 0)  # down the page


def test_curves_are_broken_where_another_loss_begins() -> None:
    loss = np.concatenate([np.geomspace(1, 0.1, 42), np.geomspace(0.9, 0.3, 8)])
    chart = loss_chart({"L05N10": loss}, turn=42)
    assert chart is not None and chart.turn is not None
    before, after = (points(part) for part in chart.curves[0].parts)
    assert (len(before), len(after)) == (42, 8)
    assert before[-1, 0] < chart.turn[0] < after[0, 0] and chart.turn[1] == "full size from step 43"
    whole = loss_chart({"L05N10": loss[:42]}, turn=42)
    assert whole is not None and whole.turn is None and len(whole.curves[0].parts) == 1


def test_coarse_steps_are_those_of_a_generator_with_a_coarse_head() -> None:
    embedded = load_config("embedded")
    assert coarse_steps(embedded) == embedded.inversion.coarse_steps == 42
    assert coarse_steps(load_config("quick")) == 0
    assert coarse_steps(load_config("embedded", overrides={"generator": "kaokore-64"})) == 0
    short = load_config("embedded", overrides={"inversion.steps": 10})
    assert coarse_steps(short) == 9


def test_nothing_to_draw_is_no_chart() -> None:
    assert loss_chart({}) is None
    assert loss_chart({"L05N10": np.full(5, np.nan)}) is None
    assert loss_chart({"L05N10": np.empty(0)}) is None


def test_means_are_geometric_and_skip_what_is_missing() -> None:
    means = mean_losses({"a": [np.array([1.0, 4.0]), np.array([4.0, np.nan, 2.0])], "b": [np.empty(0)]})
    assert means["a"] == pytest.approx([2.0, 4.0, 2.0])
    assert loss_chart({"b": means["b"]}) is None
