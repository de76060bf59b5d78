"""Figures of an evaluation: pictures of all methods side by side, and its charts, as files."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from PIL import Image, ImageDraw

from storage.atomic import write_bytes
from tasks.report.lettering import draw_line
from tasks.stages.select import final_path
from tasks.suites.charts import ablation_chart, distribution_chart, interval_chart, time_chart
from tasks.unit import SELECT, TRANSLATE, Job, OpenRun, picture

CELL, EDGE, HEAD = 192, 4, 26


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


def write_figures(
    out: Path, runs: Mapping[str, str], summary: pd.DataFrame, table: pd.DataFrame, quality: Sequence[str]
) -> list[str]:
    """Write all figures into `OUT/figures/`; returns their paths relative to OUT.

    Args:
        runs: {method: folder of its run}.
        summary, table: as `tasks.suites.summary` and `tasks.suites.frame`.
        quality: metrics for the charts of one metric, the first that was measured.
    """
    found: list[str] = []
    if (grid := comparison_grid(runs)) is not None:
        buffer = io.BytesIO()
        grid.save(buffer, "PNG")
        found.append(_kept(out, "grid.png", buffer.getvalue()))
    of_pairs = list(dict.fromkeys(table[table["pair_id"].notna()]["metric"].dropna()))
    charts = {"metrics.svg": interval_chart(summary), "distributions.svg": distribution_chart(table, of_pairs)}
    for name, chart in {"time": time_chart, "ablation": ablation_chart}.items():
        drawn = ((metric, chart(summary, metric)) for metric in quality)
        charts |= {f"{name}-{metric}.svg": svg for metric, svg in [next((d for d in drawn if d[1]), ("", None))]}
    return found + [_kept(out, name, svg) for name, svg in charts.items() if svg is not None]


def _kept(out: Path, name: str, data: bytes) -> str:
    write_bytes(out / "figures" / name, data)
    return f"figures/{name}"
