"""Tables keep their columns and types, whatever a run measured, and their files are whole and reproducible."""

import math

import pandas as pd
import pytest

from storage.summary import Summary
from storage.table_files import write_table
from storage.tables import Measured, hypotheses_table, measures_of, measures_table, pairs_table, summary_table

MEASURED = Measured(("spatial-fd", "sifid"), ("l2", "vgg"), ("structure",))


def rows() -> list[dict[str, object]]:
    return [
        lane("a", "L05N10", 0.5, selected=True, **{"spatial-fd": 1.0}),
        lane("a", "L06N20", 0.7, guarded=True, **{"spatial-fd": 2.0}),
        lane("b", "L05N10", 0.9, **{"spatial-fd": 3.0, "lpips": 0.25}),
        {"pair_id": "b", "hypothesis": "L06N20", "composing_layer": 6, "num_codes": 20, "failed": "loss is not finite"},
    ]


def lane(pair: str, hypothesis: str, loss: float, **more: object) -> dict[str, object]:
    layer, codes = int(hypothesis[1:3]), int(hypothesis[4:6])
    base = {"pair_id": pair, "hypothesis": hypothesis, "composing_layer": layer, "num_codes": codes}
    return {**base, "loss": loss, "seconds": 2.0, **more}


def summary(lanes: list[dict[str, object]]) -> pd.DataFrame:
    found = Summary(MEASURED)
    found.add(lanes)
    return summary_table(found.rows(), MEASURED)


def test_columns_have_their_place_and_type_even_when_nothing_was_measured() -> None:
    full, empty = hypotheses_table(rows(), MEASURED), hypotheses_table([], MEASURED)
    known = list(MEASURED.hypothesis_columns)
    assert list(full.columns) == list(empty.columns) == known
    assert full.dtypes.to_dict() == empty.dtypes.to_dict()
    assert full["selected"].tolist() == [True, False, False, False]
    assert math.isnan(full["sifid"].iloc[0])


def test_rows_keep_their_order() -> None:
    assert hypotheses_table(rows(), MEASURED)["pair_id"].tolist() == ["a", "a", "b", "b"]


def test_what_has_no_column_is_a_row_of_measures() -> None:
    lanes = [lane("a", "L05N10", 0.5, aligned="face", finished=0), lane("b", "L05N10", 0.5, restarts=2, style=None)]
    pairs = [{"pair_id": "a", "structure": 0.5, "theirs": 1.0, "mood": "calm"}, {"pair_id": "b", "late": True}]
    rows = measures_of(pairs, lanes, [{"pair_id": "a", "metric": "theirs", "value": 1.0}], MEASURED)
    table = measures_table(rows)
    assert table["pair_id"].tolist() == ["a", "a", "b", "b"]
    assert table["measure"].tolist() == ["mood", "aligned", "late", "restarts"]
    assert table["text"].tolist()[:2] == ["calm", "face"] and table["value"].tolist()[2:] == [1.0, 2.0]
    assert table["hypothesis"].isna().tolist() == [True, False, True, False]
    assert measures_table([]).dtypes.to_dict() == table.dtypes.to_dict()


def test_summary_counts_wins_and_leaves_failures_out_of_the_means() -> None:
    table = summary(rows()).set_index("hypothesis")
    assert table.index.tolist() == ["L05N10", "L06N20"]
    assert table.loc["L05N10", "wins"] == 1
    assert table.loc["L05N10", "mean spatial-fd"] == pytest.approx(2.0)
    assert table.loc["L06N20", ["failed", "guarded", "lanes"]].tolist() == [1, 1, 2]
    assert table.loc["L06N20", "mean loss"] == pytest.approx(0.7)
    assert table.loc["L06N20", "total seconds"] == pytest.approx(2.0)


def test_summary_of_nothing_is_a_table_without_rows() -> None:
    table = summary([])
    assert len(table) == 0 and {f"mean {rule}" for rule in MEASURED.rules} <= set(table.columns)


def test_pairs_have_a_state_and_a_reason() -> None:
    table = pairs_table(
        [
            {"index": 0, "pair_id": "a", "source": "s.png", "exemplar": "e.png", "state": "done", "value": 1.5},
            {
                "index": 1,
                "pair_id": "b",
                "source": "=1+1,\n.png",
                "state": "quarantined",
                "reason": "x",
                "structure": 0.5,
            },
        ],
        MEASURED,
    )
    assert table["structure"].tolist()[1] == 0.5
    assert table["state"].tolist() == ["done", "quarantined"]
    assert table["reason"].isna().tolist() == [True, False]


def test_files_can_be_read_back_are_reproducible_and_leave_nothing_behind(tmp_path) -> None:
    table = hypotheses_table(rows(), MEASURED)
    write_table(tmp_path / "new", "hypotheses", table)
    written = sorted((tmp_path / "new").iterdir())
    assert [path.name for path in written] == ["hypotheses.csv", "hypotheses.parquet"]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "new" / "hypotheses.parquet"), table)
    assert pd.read_csv(tmp_path / "new" / "hypotheses.csv")["loss"].tolist()[:3] == [0.5, 0.7, 0.9]

    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in written}
    write_table(tmp_path / "new", "hypotheses", hypotheses_table(rows(), MEASURED))
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in written} == before


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch) -> None:
    table = hypotheses_table(rows(), MEASURED)
    write_table(tmp_path, "hypotheses", table)
    old = (tmp_path / "hypotheses.csv").read_bytes()

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        write_table(tmp_path, "hypotheses", table.head(1))
    assert (tmp_path / "hypotheses.csv").read_bytes() == old
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hypotheses.csv", "hypotheses.parquet"]
