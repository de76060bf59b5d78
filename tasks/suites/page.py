"""What an evaluation leaves for people: tables in every format, figures, and a page that shows them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import pandas as pd
from markupsafe import Markup

from storage.atomic import write_text
from storage.table_files import write_table
from tasks.report.lettering import format_distance
from tasks.report.template import page_template
from tasks.suites.figures import write_figures
from tasks.suites.pivots import html_table, latex, markdown, pivot
from tasks.suites.suite import Suite
from tasks.suites.summary import summarise

PAGE = "evaluation.html"
QUALITY = ("spatial-fd", "style", "structure", "psnr", "fid", "frechet-vgg16")
"""Metrics that the chart against time takes, the first that was measured."""
CAPTIONS = {
    "figures/grid.png": "Source, exemplar and every method",
    "figures/metrics.svg": "Every metric, with intervals",
    "figures/distributions.svg": "Every metric over pairs: boxes hold the middle half",
    **{f"figures/ablation-{name}.svg": f"{name} of single hypotheses, by layer and by codes" for name in QUALITY},
    **{f"figures/time-{name}.svg": f"{name} against time" for name in QUALITY},
}


def write_page(out: str, suite: Suite, table: pd.DataFrame, runs: Mapping[str, str]) -> pd.DataFrame:
    """Write `OUT/tables/`, `OUT/figures/` and `OUT/evaluation.html`; returns the summary.

    Args:
        out: folder of the evaluation.
        suite: what was evaluated.
        table: the tidy table.
        runs: {method: folder of its run} of the methods that ran.
    """
    folder, tables = Path(out), Path(out) / "tables"
    write_table(tables, "evaluation", table)
    summary = summarise(table, suite.baseline)
    write_table(tables, "summary", summary)
    paired = set(table[table["pair_id"].notna()]["metric"])
    names = list(summary["metric"].dropna().unique())
    of_pairs, of_sets = [n for n in names if n in paired], [n for n in names if n not in paired]
    pivots = {"pairs": pivot(summary, tuple(of_pairs))}
    if of_sets:
        pivots["sets"] = pivot(summary, tuple(of_sets))
    for old in (*tables.glob("sets.*"), *(folder / "figures").glob("*")):
        old.unlink()  # may be of rows and metrics that are not asked for now
    for name, one in pivots.items():
        write_text(tables / f"{name}.md", markdown(one))
        write_text(tables / f"{name}.tex", latex(one))
        write_text(tables / f"{name}.html", html_table(one))
    sets = table[table["metric"].isin(of_sets)]
    reports = {name: f"{quote(os.path.relpath(run, out))}/report.html" for name, run in runs.items()}
    states = summary[summary["metric"].isna()].set_index("method")["status"].to_dict()
    page = page_template("tasks.suites", "evaluation.html.j2").render(
        suite=suite,
        pairs=table["pair_id"].nunique(),
        published=bool(summary["published"].notna().any()),
        of_pairs=Markup(html_table(pivots["pairs"], reports)),
        of_sets=Markup(html_table(pivots["sets"], reports)) if of_sets else "",
        reference=", ".join(sets["reference"].dropna().unique()) or suite.reference,
        notes=sorted(set(sets["status"].dropna()) - {"ok", "published"}),
        against=suite.baseline,
        metrics=of_pairs,
        differences=_differences(summary, of_pairs, suite.baseline),
        figures=write_figures(folder, runs, summary, table, QUALITY),
        captions=CAPTIONS,
        runs=[(name, reports.get(name, ""), states.get(name, "")) for name in table["method"].unique()],
        counts=table[table["pair_id"].notna() & table["value"].notna()]
        .groupby("method")["pair_id"]
        .nunique()
        .to_dict(),
    )
    write_text(folder / PAGE, page)
    return summary


def _differences(
    summary: pd.DataFrame, metrics: list[str], against: str
) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """(method, cells) of all methods but one; a cell is a number as printed, its interval, and the number itself."""
    found = []
    for method in summary["method"].unique():
        rows = summary[(summary["method"] == method) & summary["difference"].notna()].set_index("metric")
        if method == against or not len(rows):
            continue
        cells = []
        for metric in metrics:
            if metric not in rows.index:
                cells.append(("–", "", ""))
                continue
            row = rows.loc[metric]
            ends = f"{_signed(row['difference_low'])} to {_signed(row['difference_high'])}, p {row['p']:.3f}"
            cells.append((_signed(row["difference"]), ends, repr(float(row["difference"]))))
        found.append((str(method), cells))
    return found


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else ''}{format_distance(float(value))}"
