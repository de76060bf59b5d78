"""What scripts that make pages share: write the page, or with --check only say whether it is up to date."""

from __future__ import annotations

import sys
from pathlib import Path


def write_or_check(page: Path, text: str, script: str, arguments: list[str]) -> int:
    """Write `text` as the page, or with --check compare; returns the exit code.

    Args:
        page: the file.
        text: what it should hold.
        script: name of the script that makes it.
        arguments: of the command line.
    """
    if "--check" not in arguments:
        page.write_text(text, encoding="utf-8")
        return 0
    if page.is_file() and page.read_text(encoding="utf-8") == text:
        return 0
    print(f"docs/{page.name} is not up to date; run `python docs/{script}`", file=sys.stderr)
    return 1
