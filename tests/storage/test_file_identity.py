"""Whether a file is still the one that was read."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from storage import file_identity
from storage.file_identity import UNREADABLE, FileIdentity, Looker


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "a.png").write_bytes(b"one")
    return str(tmp_path / "a.png")


def test_a_known_file_is_not_read(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Looker().identity(path)
    assert known is not None and known.size == 3 and len(known.sha256) == 64
    monkeypatch.setattr(file_identity, "_sha256", lambda path: pytest.fail("read"))
    assert Looker().identity(path, known) == known


def test_touching_changes_the_stamp_alone(path: str) -> None:
    known = Looker().identity(path)
    os.utime(path, ns=(1, 1))
    now = Looker().identity(path, known)
    assert now is not None and known is not None
    assert now.stamp != known.stamp and now.sha256 == known.sha256


def test_another_content_of_the_same_size_and_time_is_seen(path: str) -> None:
    known, old = Looker().identity(path), Path(path).stat()
    time.sleep(0.05)  # a tick of the file system's clock
    Path(path).write_bytes(b"two")
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    now = Looker().identity(path, known)
    assert now is not None and known is not None and now.sha256 != known.sha256


def test_a_file_is_looked_at_and_read_once(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("_stamp", "_sha256"):
        ask = getattr(file_identity, name)
        monkeypatch.setattr(file_identity, name, lambda p, ask=ask, name=name: (calls.append(name), ask(p))[1])
    looker = Looker()
    assert looker.identity(path) == looker.identity(path, FileIdentity(1, 2, 3, "another"))
    assert calls == ["_stamp", "_sha256"]


def test_what_is_no_file_has_no_identity(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("missing", "link", ".", "missing/deeper", "x" * 300):
        assert Looker().identity(str(tmp_path / name)) is None


def test_a_file_that_cannot_be_read_has_no_hash(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object, **more: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        found = Looker().identity(path)
    assert found is not None and found.sha256 == UNREADABLE


def test_a_machine_without_handles_is_not_the_files_fault(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object, **more: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(OSError, match="Too many"):
        Looker().identity(path)


def test_json_keeps_an_identity() -> None:
    assert FileIdentity.parse([1, 2, 3, "a"]) == FileIdentity(1, 2, 3, "a")
    assert FileIdentity.parse(None) is None
