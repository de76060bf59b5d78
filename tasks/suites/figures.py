"""Figures of an evaluation: pictures of all methods side by side, and numbers with their intervals."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from PIL import Image, ImageDraw

from storage.atomic import write_bytes
from tasks.report.lettering import draw_line
from tasks.stages.select import final_path
from tasks.unit import SELECT, TRANSLATE, Job, OpenRun, picture

CELL, EDGE, HEAD = 192, 4, 26
COLUMNS = 3
"""Small charts side by side."""


def comparison_grid(runs: Mapping[str, str], count: int = 8) -> Image.Image | None:
    """Source, exemplar and every method's result of the first pairs that all methods have; None: there are none.

    Args:
        runs: {method: folder of its run}.
        count: pairs, one row each.
    """
    opened = {name: Job.of_folder(run).open() for name, run in runs.items()}
    if not opened:
        return None
    first = next(iter(opened.values()))

    ids = shared_pairs(opened)[:count]
    if not ids:
        return None
    sides = ["source", "exemplar"] if first.config.task == "translate" else ["source"]
    heads = [*sides, *opened]
    sheet = _Sheet(len(heads), len(ids))
    for column, head in enumerate(heads):
        sheet.head(column, head)
    for row, pair_id in enumerate(ids):
        for column, side in enumerate(sides):
            sheet.paste(column, row, Image.fromarray(picture(first.store, pair_id, side)))
        for column, run in enumerate(opened.values(), start=len(sides)):
            with Image.open(final_path(run.store.path, pair_id)) as image:
                sheet.paste(column, row, image.convert("RGB"))
    return sheet.image


def shared_pairs(runs: Mapping[str, OpenRun]) -> list[str]:
    """Ids of the pairs that all these runs have finished, in the order of the first one's plan."""

    def done(pair_id: str) -> bool:
        return all(
            run.store.done(SELECT if run.config.searches else TRANSLATE, pair_id) is not None for run in runs.values()
        )

    return [pair_id for pair_id in next(iter(runs.values())).pair_ids() if done(pair_id)]


class _Sheet:
    def __init__(self, columns: int, rows: int) -> None:
        size = (columns * (CELL + EDGE) + EDGE, HEAD + rows * (CELL + EDGE) + EDGE)
        self.image = Image.new("RGB", size, "white")

    def head(self, column: int, text: str) -> None:
        left = EDGE + column * (CELL + EDGE)
        draw_line(ImageDraw.Draw(self.image), (left, 5), text, 14, "black", CELL)

    def paste(self, column: int, row: int, image: Image.Image) -> None:
        place = (EDGE + column * (CELL + EDGE), HEAD + EDGE + row * (CELL + EDGE))
        self.image.paste(image.resize((CELL, CELL), Image.Resampling.LANCZOS), place)


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
            colour = "#0b6e4f" if found["best"] else "#555555"
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
    axes.plot(kept["seconds"], kept[metric], "o", color="#0b6e4f")
    for method, found in kept.iterrows():
        axes.annotate(str(method), (found["seconds"], found[metric]), xytext=(5, 3), textcoords="offset points", size=8)
    axes.set_xscale("log")
    axes.set_xlabel("seconds per pair")
    axes.set_ylabel(metric)
    return _svg(figure)


def _svg(figure: object) -> bytes:
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "mgi", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})  # type: ignore[attr-defined]
    return buffer.getvalue()


def write_figures(out: Path, runs: Mapping[str, str], summary: pd.DataFrame, quality: Sequence[str]) -> list[str]:
    """Write all figures into `OUT/figures/`; returns their paths relative to OUT."""
    found: list[str] = []
    if (grid := comparison_grid(runs)) is not None:
        buffer = io.BytesIO()
        grid.save(buffer, "PNG")
        found.append(_kept(out, "grid.png", buffer.getvalue()))
    if (chart := interval_chart(summary)) is not None:
        found.append(_kept(out, "metrics.svg", chart))
    for metric in quality:
        if (chart := time_chart(summary, metric)) is not None:
            found.append(_kept(out, f"time-{metric}.svg", chart))
            break
    return found


def _kept(out: Path, name: str, data: bytes) -> str:
    write_bytes(out / "figures" / name, data)
    return f"figures/{name}"
