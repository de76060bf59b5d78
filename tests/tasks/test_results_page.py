"""The tables of docs/results.md say what docs/results/*.csv says."""

import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_tables_are_up_to_date() -> None:
    command = [sys.executable, str(DOCS / "make_results.py"), "--check"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr


def test_a_changed_number_is_seen() -> None:
    sys.path.insert(0, str(DOCS))
    from make_results import BLOCK, table

    page = (DOCS / "results.md").read_text(encoding="utf-8")
    suite, metrics, _ = next(iter(BLOCK.findall(page)))
    assert table(suite, metrics.split()) in page
    assert table(suite, metrics.split()[:2]) not in page
