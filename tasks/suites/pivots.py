"""The summary as papers print it, methods down and metrics across: Markdown, LaTeX and HTML."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tasks.report.lettering import format_distance
from tasks.suites.summary import not_run

NONE = "–"
TEX = {letter: f"\\{letter}" for letter in "_%&#${}"} | {"–": "--", "\\": r"\textbackslash{}"}
TEX |= {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


@dataclass(frozen=True)
class Cell:
    """A number as it is printed, its interval (empty: none), and whether it is the best or as good as that."""

    text: str
    interval: str = ""
    best: bool = False
    value: float | None = None
    """The number itself, for sorting."""


@dataclass(frozen=True)
class Pivot:
    """A table: heads are (metric, unit, arrow), rows are (method, cells or why there are none).

    A metric with published numbers has a second column for them, `METRIC, published`.
    """

    heads: tuple[tuple[str, str, str], ...]
    rows: tuple[tuple[str, tuple[Cell, ...] | str], ...]
    published: bool


def pivot(summary: pd.DataFrame, metrics: tuple[str, ...] = ()) -> Pivot:
    """The table of a summary, with those metrics that any method has; `metrics` picks some."""
    measured = summary[summary["metric"].notna()]
    names = [name for name in measured["metric"].unique() if not metrics or name in metrics]
    heads = []
    for name in names:
        first = measured[measured["metric"] == name].iloc[0]
        unit = "" if pd.isna(first["unit"]) else str(first["unit"])
        known = not pd.isna(first["higher_is_better"])
        arrow = ("↑" if first["higher_is_better"] else "↓") if known else ""
        heads.append((name, unit, arrow))
        if (measured["metric"].eq(name) & measured["published"].notna()).any():
            heads.append((f"{name}, published", unit, arrow))
    reasons = not_run(summary)
    rows: list[tuple[str, tuple[Cell, ...] | str]] = []
    for method in summary["method"].unique():
        of_method = measured[measured["method"] == method].set_index("metric")
        if method in reasons and not len(of_method):
            rows.append((method, reasons[method]))
            continue
        cells = [_cell(of_method, name) for name, _, _ in heads]
        if cells and method in reasons:  # published alone
            cells[0] = Cell(reasons[method])
        rows.append((method, tuple(cells)))
    return Pivot(tuple(heads), tuple(rows), bool(measured["published"].notna().any()))


def _cell(of_method: pd.DataFrame, head: str) -> Cell:
    name, _, published = head.partition(", ")
    if name not in of_method.index:
        return Cell(NONE)
    row: Any = of_method.loc[name]
    if published:
        said = row.get("papers")
        number = float(row["published"])
        return Cell(NONE) if math.isnan(number) else Cell(f"{number:.10g}" if pd.isna(said) else said, value=number)
    if pd.isna(row["value"]):
        status = "" if pd.isna(row["status"]) else str(row["status"])
        return Cell("not run" if status.startswith("not run") else NONE)
    low, high = float(row["low"]), float(row["high"])
    interval = "" if math.isnan(low) or math.isnan(high) else f"{format_distance(low)} to {format_distance(high)}"
    value = float(row["value"])
    return Cell(format_distance(value), interval, bool(row["best"]), value)


def markdown(table: Pivot) -> str:
    """GitHub's Markdown; the best in bold, intervals in brackets."""
    heads = ["method", *(_head(head) for head in table.heads)]
    lines = [_line(heads), _line(["---"] * len(heads))]
    for method, cells in table.rows:
        if isinstance(cells, str):
            lines.append(_line([method, cells, *[""] * (len(heads) - 2)]))
            continue
        lines.append(_line([method, *(_markdown(cell) for cell in cells)]))
    return "\n".join(lines) + "\n"


def latex(table: Pivot) -> str:
    """A `tabular` of booktabs; the best in bold."""
    arrows = {"↑": r"$\uparrow$", "↓": r"$\downarrow$", "": ""}
    named = ((_head((name, unit, "")), arrows[arrow]) for name, unit, arrow in table.heads)
    heads = ["method", *(f"{_tex(name)} {arrow}".strip() for name, arrow in named)]
    lines = [rf"\begin{{tabular}}{{l{'r' * len(table.heads)}}}", r"\toprule", " & ".join(heads) + r" \\", r"\midrule"]
    for method, cells in table.rows:
        if isinstance(cells, str):
            lines.append(rf"{_tex(method)} & \multicolumn{{{len(table.heads)}}}{{l}}{{{_tex(cells)}}} \\")
            continue
        texts = [rf"\textbf{{{cell.text}}}" if cell.best else _tex(cell.text) for cell in cells]
        lines.append(" & ".join([_tex(method), *texts]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def html_table(table: Pivot, reports: Mapping[str, str] | None = None) -> str:
    """An HTML table; intervals below each number.

    Args:
        table: the table.
        reports: {method: address of its run's report}, which its name becomes a link to.
    """
    heads = "".join(f'<th scope="col" class="n">{html.escape(_head(head))}</th>' for head in table.heads)
    lines = ['<table class="sortable">', f'<thead><tr><th scope="col">method</th>{heads}</tr></thead>', "<tbody>"]
    for method, cells in table.rows:
        if isinstance(cells, str):
            said = f'<td colspan="{len(table.heads)}" class="missing">{html.escape(cells)}</td>'
        else:
            said = "".join(map(_html, cells))
        name = html.escape(method)
        if href := (reports or {}).get(method):
            name = f'<a href="{html.escape(href)}">{name}</a>'
        lines.append(f'<tr><th scope="row">{name}</th>{said}</tr>')
    return "\n".join([*lines, "</tbody>", "</table>"]) + "\n"


def _head(head: tuple[str, str, str]) -> str:
    name, unit, arrow = head
    return f"{name}{f' ({unit})' if unit else ''} {arrow}".strip()


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _markdown(cell: Cell) -> str:
    text = f"**{cell.text}**" if cell.best else cell.text
    interval = f" ({cell.interval})" if cell.interval else ""
    return f"{text}{interval}"


def _html(cell: Cell) -> str:
    text = f"<b>{html.escape(cell.text)}</b>" if cell.best else html.escape(cell.text)
    small = f"<small>{html.escape(cell.interval)}</small>" if cell.interval else ""
    return f'<td class="n" data-value="{"" if cell.value is None else cell.value!r}">{text}{small}</td>'


def _tex(text: str) -> str:
    return "".join(TEX.get(letter, letter) for letter in text)
