"""Text cells of CSV files that a spreadsheet would take for formulas.

Names of pictures and messages of errors end up in tables, and whoever opens a table must not run what somebody put into
the name of a picture. Such a cell gets an apostrophe in front, as OWASP recommends; numbers and Parquet stay raw.
"""

from __future__ import annotations

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How a formula begins, in full-width characters too. Apostrophes in front count, so that `original` knows its own."""


def harmless(text: str) -> str:
    """The cell for `text`.

    Example:
        >>> harmless("=1+1"), harmless("cat=1")
        ("'=1+1", 'cat=1')
    """
    return f"'{text}" if _FORMULA.match(text) else text


def original(cell: str) -> str:
    """The text that `harmless` made `cell` of.

    Example:
        >>> original(harmless("'=1+1")), original("'plain'")
        ("'=1+1", "'plain'")
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
