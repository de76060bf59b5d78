"""Charts of an evaluation: intervals, quality against time, ablations over layers and codes, and distributions."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence

import pandas as pd

COLUMNS = 3
"""Small charts side by side."""
COLOUR, GREY = "#0b6e4f", "#555555"
HYPOTHESIS = re.compile(r"(?P<row>.*)-l(?P<layer>\d+)n(?P<codes>\d+)")
"""What a row of one hypothesis is called (`tasks.suites.rows`)."""


def interval_chart(summary: pd.DataFrame) -> bytes | None:
    """Every metric as a small chart, one dot with its interval per method, as SVG; None: nothing was measured."""
    measured = summary[summary["metric"].notna() & summary["value"].notna()]
    metrics = list(measured["metric"].unique())
    if not metrics:
        return None
    from matplotlib.figure import Figure

    methods = list(measured["method"].unique())
    rows = math.ceil(len(metrics) / COLUMNS)
    figure = Figure(figsize=(4 * COLUMNS, rows * (0.9 + 0.24 * len(methods))), layout="constrained")
    for number, metric in enumerate(metrics, start=1):
        axes = figure.add_subplot(rows, COLUMNS, number)
        of_metric = measured[measured["metric"] == metric].set_index("method")
        for place, method in enumerate(methods):
            if method not in of_metric.index:
                continue
            found = of_metric.loc[method]
            colour = COLOUR if found["best"] else GREY
            if not (math.isnan(found["low"]) or math.isnan(found["high"])):
                axes.plot([found["low"], found["high"]], [place, place], color=colour, linewidth=2)
            axes.plot([found["value"]], [place], "o", color=colour, markersize=4)
        axes.set_yticks(
            range(len(methods)), methods if (number - 1) % COLUMNS == 0 else [""] * len(methods), fontsize=8
        )
        axes.set_ylim(len(methods) - 0.5, -0.5)
        first = of_metric.iloc[0]
        arrow = "↑" if first["higher_is_better"] else "↓"
        axes.set_title(f"{metric} {arrow}", fontsize=9)
        axes.tick_params(axis="x", labelsize=7)
    return _svg(figure)


def time_chart(summary: pd.DataFrame, metric: str) -> bytes | None:
    """A metric against the seconds per pair, one dot per method, as SVG; None: a side is not there."""
    wide = summary[summary["metric"].notna()].pivot_table(
        index="method", columns="metric", values="value", aggfunc="first", sort=False
    )
    if metric not in wide or "seconds" not in wide or not (wide[metric].notna() & wide["seconds"].gt(0)).any():
        return None
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    kept = wide[wide[metric].notna() & wide["seconds"].gt(0)]
    axes.plot(kept["seconds"], kept[metric], "o", color=COLOUR)
    for method, found in kept.iterrows():
        axes.annotate(str(method), (found["seconds"], found[metric]), xytext=(5, 3), textcoords="offset points", size=8)
    axes.set_xscale("log")
    axes.set_xlabel("seconds per pair")
    axes.set_ylabel(metric)
    return _svg(figure)


def ablation_chart(summary: pd.DataFrame, metric: str) -> bytes | None:
    """A metric of single hypotheses over layers and over codes (MGI, figure 8), as SVG; None: there are too few.

    A line holds the other number fast; a row that chooses among the hypotheses is a dashed line across both.
    """
    of_metric = summary[(summary["metric"] == metric) & summary["value"].notna()]
    single: dict[tuple[int, int], float] = {}
    for name, value in zip(of_metric["method"], of_metric["value"], strict=True):
        if hit := HYPOTHESIS.fullmatch(str(name)):
            single[int(hit["layer"]), int(hit["codes"])] = float(value)
    axes_of = [sorted({place[side] for place in single}) for side in (0, 1)]
    if max(map(len, axes_of)) < 2:
        return None
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    chosen = of_metric[of_metric["method"] == _parent(of_metric["method"])]["value"]
    for side, (name, other) in enumerate((("composing layer", "N"), ("codes", "L"))):
        axes = figure.add_subplot(1, 2, side + 1)
        for held in axes_of[1 - side]:
            places = [place for place in axes_of[side] if ((place, held) if side == 0 else (held, place)) in single]
            values = [single[(place, held) if side == 0 else (held, place)] for place in places]
            axes.plot(places, values, "o-", markersize=4, label=f"{other} = {held}")
        for value in chosen:
            axes.axhline(float(value), color=GREY, linestyle="--", linewidth=1, label="chosen per pair")
        axes.set_xlabel(name)
        axes.set_xticks(axes_of[side])
        axes.set_ylabel(metric)
        axes.legend(fontsize=7)
    return _svg(figure)


def _parent(methods: pd.Series) -> str:
    """The row that tries the hypotheses, with whose name theirs begin; empty: none."""
    names = [str(name) for name in methods]
    rows = {hit["row"] for name in names if (hit := HYPOTHESIS.fullmatch(name))}
    others = [name for name in names if not HYPOTHESIS.fullmatch(name)]
    begun = [name for name in others if any(row.startswith(name) for row in rows)]
    return max(begun, key=len) if begun else ""


def distribution_chart(table: pd.DataFrame, metrics: Sequence[str]) -> bytes | None:
    """Every metric of pairs as box plots, one per method, as SVG; None: no method has more than one pair.

    Boxes hold the middle half, whiskers end at the last pair within 1.5 times that, dots are the others.
    """
    measured = table[table["pair_id"].notna() & table["value"].notna()]
    found = {}
    for metric in metrics:
        of_metric = measured[measured["metric"] == metric]
        values = {str(name): group["value"].to_numpy() for name, group in of_metric.groupby("method", sort=False)}
        if any(len(numbers) > 1 for numbers in values.values()):
            found[metric] = values
    if not found:
        return None
    from matplotlib.figure import Figure

    methods = list(dict.fromkeys(name for values in found.values() for name in values))
    rows = math.ceil(len(found) / COLUMNS)
    figure = Figure(figsize=(4 * COLUMNS, rows * (0.9 + 0.26 * len(methods))), layout="constrained")
    for number, (metric, values) in enumerate(found.items()):
        axes = figure.add_subplot(rows, COLUMNS, number + 1)
        places = [methods.index(name) for name in values]
        axes.boxplot(
            list(values.values()),
            positions=places,
            orientation="horizontal",
            widths=0.6,
            flierprops={"marker": ".", "markersize": 3, "markeredgecolor": GREY},
            medianprops={"color": COLOUR, "linewidth": 2},
        )
        axes.set_yticks(range(len(methods)), methods if number % COLUMNS == 0 else [""] * len(methods), fontsize=8)
        axes.set_ylim(len(methods) - 0.5, -0.5)
        axes.set_title(metric, fontsize=9)
        axes.tick_params(axis="x", labelsize=7)
    return _svg(figure)


def _svg(figure: object) -> bytes:
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "mgi", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})  # type: ignore[attr-defined]
    return buffer.getvalue()
