"""What a machine knows about its copy of a remote run: a damaged database is begun again, and nothing stays open."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from storage.remote.index import open_index


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_a_damaged_database_is_begun_again_and_let_go(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    path.write_bytes(b"no database at all" * 100)
    index = open_index(path)
    assert index.rows == {} and not index.dirty
    assert open_files(path) == [str(path)]  # not the deleted one, too, which Windows would not have deleted
    index.close()
    assert open_files(path) == []


def open_files(path: Path) -> list[str]:
    """Every open file of this process that is, or was, at a path."""
    found = []
    for number in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(number.readlink()))
        except OSError:  # the one that lists them
            continue
    return [name for name in found if name.startswith(str(path))]
