"""A folder mirrored at an address: what is published, and what comes back."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import pytest
import s3
from mirrors import Files, copied, nothing, options, read, some, work, write

from storage.remote.bucket import Bucket, RemoteError
from storage.remote.check import damaged_files, send_again
from storage.remote.manifest import Pieces, read_files
from storage.remote.mirror import Mirror
from storage.remote.root import Root, read_root
from storage.remote.upload import Upload
from storage.remote.view import open_view


def test_what_is_written_comes_back(address: str, tmp_path: Path) -> None:
    files = {**some(3), "empty": b"", "run.zarr/large": os.urandom(2**21 + 5), "final/\u00e9.png": b"x"}
    ours = {"x.part": b"", "starts/unit": b".", ".boot": b"1"}
    work(address, tmp_path / "a", lambda mirror: write(mirror, files | ours))
    assert copied(address, tmp_path / "b") == files


def test_only_changes_are_sent_and_deletions_too(address: str, tmp_path: Path, faults: s3.Faults) -> None:
    def change(mirror: Mirror) -> None:
        (mirror.path / "done/invert/3.json").unlink()
        write(mirror, {"done/invert/4.json": b"new"})
        os.utime(mirror.path / "done/invert/5.json", (1, 1))

    work(address, tmp_path / "a", lambda mirror: write(mirror, some(30)))
    root = _root(address)
    work(address, tmp_path / "a", change)
    assert [listed.count for listed in _root(address).manifests] == [31, 2]
    assert _root(address).manifests[0] == root.manifests[0]
    work(address, tmp_path / "a", nothing)
    assert [listed.count for listed in _root(address).manifests] == [31, 2]
    files = {**some(30), "done/invert/4.json": b"new"}
    del files["done/invert/3.json"]
    assert copied(address, tmp_path / "b") == files


def test_a_large_file_that_grows_is_not_sent_again(address: str, tmp_path: Path) -> None:
    def append(mirror: Mirror) -> None:
        with (mirror.path / "log.jsonl").open("ab") as file:
            file.write(b"more")

    data = os.urandom(3 * 2**20)
    work(address, tmp_path / "a", lambda mirror: write(mirror, {"log.jsonl": data}))
    before = _pieces(address, "log.jsonl")
    work(address, tmp_path / "a", append)
    after = _pieces(address, "log.jsonl")
    assert after[:3] == before and after[3].length == 4
    assert copied(address, tmp_path / "b")["log.jsonl"] == data + b"more"


def test_manifests_stay_few_and_list_a_path_seldom(address: str, tmp_path: Path) -> None:
    """Paths that were ever listed, over 32 pushes of 4 new files, grow as n log n and not as n squared."""
    listed: list[int] = []

    def grow(mirror: Mirror) -> None:
        for push in range(32):
            write(mirror, some(4, 4 * push))
            mirror.publish()
            counts = [one.count for one in _root(address).manifests]
            assert all(before > 2 * after for before, after in itertools.pairwise(counts)) and len(counts) <= 6
            listed.append(counts[-1])

    work(address, tmp_path / "a", grow)
    assert sum(listed) < 129 * 7 < sum(range(4, 129, 4))
    assert copied(address, tmp_path / "b") == some(128)


def test_a_path_that_was_deleted_does_not_come_back(address: str, tmp_path: Path) -> None:
    """Neither when manifests are taken in, nor when the copy's knowledge is lost."""

    def delete(mirror: Mirror) -> None:
        (mirror.path / "done/invert/1.json").unlink()
        mirror.publish()
        for push in range(2):
            write(mirror, some(8, 100 + 8 * push))
            mirror.publish()

    work(address, tmp_path / "a", lambda mirror: write(mirror, some(40)))
    work(address, tmp_path / "a", delete)
    assert "done/invert/1.json" not in copied(address, tmp_path / "b")
    next((tmp_path / "a").glob("*/index.sqlite")).write_bytes(b"damaged")
    assert work(address, tmp_path / "a", lambda mirror: write(mirror, some(200, 200))) == []
    found = copied(address, tmp_path / "b")
    assert "done/invert/1.json" not in found and len(found) == 40 + 16 + 200


def test_names_are_used_once_and_what_was_replaced_is_swept(address: str, tmp_path: Path, faults: s3.Faults) -> None:
    def change(mirror: Mirror) -> None:
        for push in range(5):
            write(mirror, {"run.json": b"%d" % push})
            mirror.publish()

    work(address, tmp_path / "a", change)
    put = [path for method, path in faults.asked if method == "PUT" and ("objects" in path or "manifests" in path)]
    assert len(put) == len(set(put)) == 10
    bucket = Bucket(address)
    assert len(list(bucket.names("objects"))) == len(list(bucket.names("manifests"))) == 1
    assert copied(address, tmp_path / "b") == {"run.json": b"4"}


def test_what_was_sent_and_is_not_published_is_swept_unless_a_later_command_may_need_it(
    address: str, tmp_path: Path
) -> None:
    bucket = Bucket(address)
    for name in (
        "objects/00000001-killed/000002-0",
        "manifests/00000001-killed/000002",
        "objects/00000009-later/000001-0",
    ):
        bucket.write(name, b"x")
    work(address, tmp_path / "a", lambda mirror: write(mirror, some(3)))
    found = {
        name.split("/")[1].partition("-")[2] for folder in ("objects", "manifests") for name in bucket.names(folder)
    }
    assert "killed" not in found and "later" in found and len(found) == 2


@pytest.mark.parametrize("moment", [1, 5, 10])
def test_no_marker_is_published_without_what_it_vouches_for(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """A unit ends while files are read: chunk first, then marker, as workers write them."""
    add, calls = Upload.add, itertools.count(1)

    def change(mirror: Mirror) -> None:
        def meanwhile(self: Upload, *arguments: Any) -> Pieces:
            if next(calls) == moment:
                write(mirror, {"run.zarr/new": b"chunk"})
                write(mirror, {"done/invert/new.json": b"marker", "done/score/new.json": b"marker"})
            return add(self, *arguments)

        write(mirror, {**some(8), **{f"run.zarr/{number}": b"old" for number in range(8)}})
        monkeypatch.setattr(Upload, "add", meanwhile)
        mirror.publish()
        found, _ = read_files(Bucket(address), _root(address).manifests)
        assert "run.zarr/new" in found or not {"done/invert/new.json", "done/score/new.json"} & found.keys()

    work(address, tmp_path / "a", change)
    assert {"run.zarr/new", "done/invert/new.json", "done/score/new.json"} <= copied(address, tmp_path / "b").keys()


def test_a_copy_that_is_not_ahead_is_made_equal(address: str, tmp_path: Path) -> None:
    work(address, tmp_path / "a", lambda mirror: write(mirror, some(3)))
    copy = next((tmp_path / "a").glob("*/run"))
    (copy / "done/invert/1.json").write_bytes(b"cut")
    (copy / "done/invert/2.json").unlink()
    (copy / "stray").write_bytes(b"stray")
    found: Files = {}
    (said,) = work(address, tmp_path / "a", lambda mirror: found.update(read(mirror.path)))
    assert found == some(3) and "2 files" in said
    assert read(copy.parent / "aside") == {"done/invert/1.json": b"cut", "stray": b"stray"}


def test_another_run_at_an_address_whose_objects_were_all_deleted(address: str, tmp_path: Path) -> None:
    """Tokens begin again; nothing of the old run comes back, neither from the copy nor by its names."""
    work(address, tmp_path / "a", lambda mirror: write(mirror, some(3)))
    bucket = Bucket(address)
    bucket.delete([*bucket.names("objects"), *bucket.names("manifests"), "root.json", "lease.json"])
    work(address, tmp_path / "b", lambda mirror: write(mirror, {"run.json": b"another"}))
    found: Files = {}
    assert work(address, tmp_path / "a", lambda mirror: found.update(read(mirror.path))) == []
    assert found == {"run.json": b"another"}


def test_manifests_that_are_known_are_not_read_again(address: str, tmp_path: Path, faults: s3.Faults) -> None:
    def change(mirror: Mirror) -> None:
        (mirror.path / "done/invert/3.json").unlink()
        write(mirror, {"done/invert/4.json": b"new"})

    work(address, tmp_path / "a", lambda mirror: write(mirror, some(30)))
    assert copied(address, tmp_path / "b") == some(30)
    work(address, tmp_path / "a", change)
    faults.asked.clear()
    found = copied(address, tmp_path / "b")
    assert "done/invert/3.json" not in found and found["done/invert/4.json"] == b"new" and len(found) == 30
    assert len([path for method, path in faults.asked if method == "GET" and "/manifests/" in path]) == 1


def test_a_command_that_dies_before_it_writes_down_what_it_published(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its copy is still known to be ahead, and everything in it is published."""

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    work(address, tmp_path / "a", lambda mirror: write(mirror, some(3)))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("storage.remote.index.Index.settle", die)
        work(address, tmp_path / "a", lambda mirror: write(mirror, some(6)))
    assert copied(address, tmp_path / "b") == some(6)
    (next((tmp_path / "a").glob("*/run")) / "later").write_bytes(b"later")
    assert work(address, tmp_path / "a", lambda mirror: write(mirror, some(9))) == []
    assert copied(address, tmp_path / "b") == {**some(9), "later": b"later"}


def test_a_copy_follows_without_a_word_what_others_published(address: str, tmp_path: Path) -> None:
    def replace(mirror: Mirror) -> None:
        write(mirror, {"run.json": b"other"})
        (mirror.path / "done/invert/2.json").unlink()

    work(address, tmp_path / "a", lambda mirror: write(mirror, some(3)))
    work(address, tmp_path / "b", replace)
    found: Files = {}
    assert work(address, tmp_path / "a", lambda mirror: found.update(read(mirror.path))) == []
    assert found == {**some(2), "run.json": b"other"}


def test_damage_at_the_address_is_named_and_mended_from_a_copy(address: str, tmp_path: Path) -> None:
    work(address, tmp_path / "a", lambda mirror: write(mirror, some(3)))
    bucket = Bucket(address)
    name = next(bucket.names("objects"))
    found = bucket.read(name)
    assert found
    bucket.write(name, found.data.replace(b"1" * 9, b"1" * 8 + b"2"))
    with pytest.raises(RemoteError, match=r"done/invert/1.json: s3://.*is not what was published; `mgi verify"):
        copied(address, tmp_path / "b")

    def mend(mirror: Mirror) -> None:
        damaged = damaged_files(mirror)
        assert list(damaged) == ["done/invert/1.json"]
        assert send_again(mirror, list(damaged)) == 1

    work(address, tmp_path / "a", mend)
    assert copied(address, tmp_path / "b") == some(3)


def test_a_view_shows_markers_and_names_while_somebody_works(address: str, tmp_path: Path) -> None:
    def look(mirror: Mirror) -> None:
        write(mirror, {**some(3), "final/a.png": b"picture", "run.zarr/chunk": b"array"})
        mirror.publish()
        with open_view(address, options(tmp_path / "b")) as view:
            assert read(view) == {**some(3), "final/a.png": b""}
        write(mirror, {"done/invert/1.json": b"new"})
        (mirror.path / "done/invert/2.json").unlink()
        mirror.publish()
        with open_view(address, options(tmp_path / "b")) as view:
            assert read(view) == {**some(2), "final/a.png": b"", "done/invert/1.json": b"new"}

    work(address, tmp_path / "a", look)


def _root(address: str) -> Root:
    found = read_root(Bucket(address))
    assert found
    return found[0]


def _pieces(address: str, path: str) -> Pieces:
    return read_files(Bucket(address), _root(address).manifests)[0][path][0]
