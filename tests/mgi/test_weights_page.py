"""The tables of docs/weights.md are made from zoo.toml, and name every network with what a licence check needs."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

from places import ROOT

from mgi.weights import entries

PAGE = ROOT / "docs" / "weights.md"


def test_the_page_is_up_to_date() -> None:
    command = [sys.executable, ROOT / "docs" / "make_weights.py", "--check"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr


def test_every_network_is_on_it_with_licence_and_hashes() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith(("| `", "| [`"))]
    for one in entries():
        row, *hashes = [line for line in rows if f"`{one.name}`" in line.split(" | ")[0]]
        assert one.licence in row and row.endswith("| yes |" if one.in_package else "| no |")
        assert len(hashes) == bool(one.sha256 or one.file_sha256)
        assert all(text in hashes[0] for text in (one.sha256, one.file_sha256) if text)
    assert set(Counter(line.count(" | ") for line in rows)) == {6, 3}
