"""Write the tables of docs/results.md from docs/results/*.csv: `python docs/make_results.py [--check]`.

A table is what stands between `<!-- NAME: METRIC METRIC+ ... -->` and `<!-- end -->`, of `NAME.csv`.
A plus asks for the interval.
"""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
from made_page import write_or_check

from tasks.suites.pivots import Pivot, markdown, pivot

PAGE = Path(__file__).with_name("results.md")
BLOCK = re.compile(r"(?<=<!-- )([a-z-]+): ([a-z0-9+ -]+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)


def main() -> int:
    """Write the page, or check it."""
    text = PAGE.read_text(encoding="utf-8")
    made = BLOCK.sub(lambda found: f"{found[1]}: {found[2]}{found[3]}{table(found[1], found[2].split())}", text)
    return write_or_check(PAGE, made, "make_results.py", sys.argv[1:])


def table(suite: str, metrics: list[str]) -> str:
    """A suite's rows that ran, as `mgi evaluate` prints them."""
    whole = pivot(pd.read_csv(PAGE.with_name("results") / f"{suite}.csv"), tuple(name.rstrip("+") for name in metrics))
    shown = [f"{name}+" in metrics for name, _, _ in whole.heads]
    rows = tuple(
        (method, tuple(cell if keep else replace(cell, interval="") for cell, keep in zip(cells, shown, strict=True)))
        for method, cells in whole.rows
        if not isinstance(cells, str)
    )
    return markdown(Pivot(whole.heads, rows, whole.published))


if __name__ == "__main__":
    sys.exit(main())
