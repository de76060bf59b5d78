"""What does not fit in memory: files that are written piece by piece, and sums."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from storage import summary
from storage.atomic import write_bytes, writing
from storage.summary import Sums


def test_a_file_is_there_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with writing(path) as file:
        file.write(b"one")
        assert not path.exists()
        file.write(b"two")
    assert path.read_bytes() == b"onetwo" and [entry.name for entry in path.parent.iterdir()] == ["file"]
    (tmp_path / "ordinary").touch()
    assert path.stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_a_file_that_would_not_change_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.atomic.PIECE", 4)
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    before = path.stat()
    for data in (b"0123456789", b"012345678x"):
        assert path.stat().st_ino == before.st_ino
        with writing(path) as file:
            file.write(data)
    assert path.read_bytes() == b"012345678x" and path.stat().st_ino != before.st_ino


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_fails_halfway_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(type(error)), writing(path) as file:
        file.write(b"half")
        raise error
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 100])
def test_sums_and_means_are_those_of_whole_columns(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "LEAF", 8)
    values = pd.DataFrame(np.random.default_rng(count).lognormal(sigma=6, size=(count, 3)), columns=list("abc"))
    values.loc[values.index % 3 == 1, "a"] = np.nan
    values["b"] = np.nan
    sums = Sums(3)
    for row in values.itertuples(index=False):
        sums.add([None if math.isnan(value) else value for value in row])
    np.testing.assert_allclose(sums.sums, values.sum(), rtol=1e-12)
    np.testing.assert_allclose(sums.means, values.mean(), rtol=1e-12)
    assert count < 2 or sums.means[1] != sums.means[1]


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc here")
def test_a_folder_that_holds_no_new_files_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        write_bytes("/proc/picture.png", b"x")
