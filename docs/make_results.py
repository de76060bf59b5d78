"""Write the tables of docs/results.md from docs/results/*.csv: `python docs/make_results.py [--check]`.

A table is what stands between `<!-- SUITE: METRIC METRIC+ ... -->` and `<!-- end -->`; a plus asks for the interval.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd
from made_page import write_or_check

PAGE = Path(__file__).with_name("results.md")
BLOCK = re.compile(r"(?<=<!-- )([a-z-]+): ([a-z0-9+ -]+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)
PLAIN = ("seconds",)
"""Nobody asks which of these is the best."""


def main() -> int:
    """Write the page, or check it."""
    text = PAGE.read_text(encoding="utf-8")
    made = BLOCK.sub(lambda found: f"{found[1]}: {found[2]}{found[3]}{table(found[1], found[2].split())}", text)
    return write_or_check(PAGE, made, "make_results.py", sys.argv[1:])


def table(suite: str, metrics: list[str]) -> str:
    """Markdown of a suite's rows that ran, in their order."""
    frame = pd.read_csv(PAGE.with_name("results") / f"{suite}.csv")
    frame = frame[frame["metric"].notna()]
    names = [metric.rstrip("+") for metric in metrics]
    directions = frame.drop_duplicates("metric").set_index("metric")["higher_is_better"]
    heads = [name if name in PLAIN else f"{name} {'↑' if directions[name] else '↓'}" for name in names]
    lines = [f"| method | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for method, rows in frame.groupby("method", sort=False):
        of = rows.set_index("metric")
        cells = [
            cell(of.loc[name], asked.endswith("+")) if name in of.index else ""
            for asked, name in zip(metrics, names, strict=True)
        ]
        if any(cells):
            lines.append(f"| {label(str(method))} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def cell(row: pd.Series, interval: bool) -> str:
    """0.123 (0.100-0.150), bold if it is the best or none that is better beyond chance."""
    if pd.isna(row["value"]):
        return ""
    text = number(row["value"])
    if row["best"] is True or str(row["best"]) == "True":
        text = f"{text}" if row.name in PLAIN else f"**{text}**"
    return f"{text} ({number(row['low'])}-{number(row['high'])})" if interval else text


def number(value: float) -> str:
    """Three digits, all of them above a thousand."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    text = f"{value:#.3g}"
    return text.rstrip(".")


def label(method: str) -> str:
    """As people read it."""
    single = re.fullmatch(r"mgi-single-(l\d+)(n\d+)", method)
    return f"mgi, {single[1].upper()}{single[2].upper()} alone" if single else method


if __name__ == "__main__":
    sys.exit(main())
