"""Single requests of a push or a pull that the object store denies, stalls, tears, repeats, or whose answer is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from mirrors import copied, nothing, read, some, work, write
from s3 import Faults

from storage.remote.mirror import Mirror

WRITES = ("busy", "slow", "cut up", "twice", "lost", "kept")
READS = ("busy", "slow", "cut down", "twice", "lost")
OBJECTS = ("lease.json", "root.json", "objects/", "manifests/")
soak = pytest.mark.soak
ALL = "|".join(OBJECTS)


def names(text: str) -> list[str]:
    return text.split("|")


@pytest.mark.parametrize("kind", WRITES)
@pytest.mark.parametrize("text", [ALL, *(pytest.param(name, marks=soak) for name in OBJECTS)])
def test_writes_that_fail_once(address: str, tmp_path: Path, faults: Faults, kind: str, text: str) -> None:
    """`kept`: the store does the first attempt's work only when all is over, or not at all where it is conditional."""
    for name in names(text):
        faults.plan(kind, "PUT", name)

    def change(mirror: Mirror) -> None:
        write(mirror, some(3))
        mirror.publish()
        write(mirror, some(5))

    work(address, tmp_path / "a", change)
    assert faults.happened == [kind] * len(names(text))
    faults.release()
    assert copied(address, tmp_path / "b") == some(5)
    assert copied(address, tmp_path / "a") == some(5)


@pytest.mark.parametrize("kind", READS)
@pytest.mark.parametrize("text", [ALL, *(pytest.param(name, marks=soak) for name in OBJECTS)])
def test_reads_that_fail_once(address: str, tmp_path: Path, faults: Faults, kind: str, text: str) -> None:
    work(address, tmp_path / "a", lambda mirror: write(mirror, some(3)))
    for name in names(text):
        faults.plan(kind, "GET", name)
    assert copied(address, tmp_path / "b") == some(3)
    assert faults.happened == [kind] * len(names(text))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("denied", "root.json"),
        ("busy", "objects/"),
        ("lost", "root.json"),
        *(
            pytest.param(kind, name, marks=soak)
            for kind in ("denied", "busy", "cut up", "lost")
            for name in OBJECTS[1:]
        ),
    ],
)
def test_writes_that_fail_for_good(address: str, tmp_path: Path, faults: Faults, kind: str, name: str) -> None:
    """The work goes on and ends as it ends; the next command knows what was published, and publishes the rest."""
    behind: list[str | None] = []

    def change(mirror: Mirror) -> None:
        write(mirror, some(3))
        mirror.publish()
        write(mirror, some(6))
        (mirror.path / "done/invert/1.json").unlink()
        faults.plan(kind, "PUT", name, times=10**6)
        mirror.publish()
        behind.append(mirror.behind)
        write(mirror, some(9, 2))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(address, tmp_path / "a", change, patience=0.3)
    done_all_the_same = kind == "lost" and name == "root.json"
    assert (behind == [None]) == done_all_the_same
    faults.to_come.clear()
    assert work(address, tmp_path / "a", nothing) == []
    expected = {**some(6), **some(9, 2)}
    del expected["done/invert/1.json"]
    assert copied(address, tmp_path / "b") == expected


@pytest.mark.parametrize("name", ["objects/", *(pytest.param(name, marks=soak) for name in OBJECTS[1:])])
def test_what_others_find_meanwhile_is_an_older_whole(address: str, tmp_path: Path, faults: Faults, name: str) -> None:
    """And what was not published when they went on is moved aside, not mixed with theirs."""

    def change(mirror: Mirror) -> None:
        write(mirror, some(3))
        mirror.publish()
        write(mirror, some(6))
        faults.plan("denied", "PUT", name, times=10**6)

    work(address, tmp_path / "a", change, patience=0.3)
    faults.to_come.clear()
    assert copied(address, tmp_path / "b") == some(3)
    work(address, tmp_path / "b", lambda mirror: write(mirror, {"final/other.png": b"other"}))
    found: dict[str, bytes] = {}
    (said,) = work(address, tmp_path / "a", lambda mirror: found.update(read(mirror.path)))
    assert found == {**some(3), "final/other.png": b"other"} and "3 files" in said
    assert set(read(next((tmp_path / "a").glob("*/aside")))) == {f"done/invert/{number}.json" for number in (3, 4, 5)}
