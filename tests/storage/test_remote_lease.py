"""Who may work on a remote run, and who may publish."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mirrors import change_lease, copied, lease, nothing, options, read, some, work, write

from storage.remote.bucket import Bucket, RemoteError
from storage.remote.lease import Lease, LeaseLost
from storage.remote.mirror import Mirror, open_mirror
from storage.run_lock import RunLocked


def test_two_commands_at_once_on_two_machines(address: str, tmp_path: Path) -> None:
    with open_mirror(address, options(tmp_path / "a"), print, new=True):  # noqa: SIM117 - the second one is refused
        with pytest.raises(RunLocked, match=rf"being written by process {os.getpid()} on .*lease ends in"):
            work(address, tmp_path / "b", nothing)
    work(address, tmp_path / "b", nothing)
    assert lease(address)["free"] and lease(address)["token"] == 2


def test_two_commands_at_once_in_one_copy(address: str, tmp_path: Path) -> None:
    with open_mirror(address, options(tmp_path / "a"), print, new=True):  # noqa: SIM117 - the second one is refused
        with pytest.raises(RunLocked, match=f"process {os.getpid()}"):
            work(address, tmp_path / "a", nothing)


def test_a_lease_whose_holder_was_killed_holds_no_longer_than_its_end(address: str) -> None:
    """On another machine; here it is known that the process is gone."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    bucket = Bucket(address)
    Lease.take(bucket, 0)._end.set()
    change_lease(address, pid=dead.pid, place="another machine")
    with pytest.raises(RunLocked, match=f"process {dead.pid}"):
        Lease.take(bucket, 0)
    change_lease(address, expires=1.0)
    second = Lease.take(bucket, 0)
    assert second.token == 2
    second._end.set()
    change_lease(address, pid=dead.pid)
    assert Lease.take(bucket, 7).token == 8


def test_the_fence(address: str, tmp_path: Path) -> None:
    """A process that slept through the end of its lease publishes nothing, though nobody told it."""

    def sleep(old: Mirror) -> None:
        write(old, some(3))
        old.publish()
        old._lease._end.set()  # no renewals: it is asleep
        old._lease._thread.join()
        write(old, some(6))
        change_lease(address, expires=1.0)
        work(address, tmp_path / "b", lambda new: write(new, {"final/new.png": b"new"}))
        old.publish()

    with pytest.raises(LeaseLost, match="taken over by another command"):
        work(address, tmp_path / "a", sleep)
    published = {**some(3), "final/new.png": b"new"}
    assert copied(address, tmp_path / "c") == published
    (said,) = work(address, tmp_path / "a", nothing)
    assert "3 files here were never published" in said
    assert copied(address, tmp_path / "d") == published
    aside = next((tmp_path / "a").glob("*/aside"))
    assert list(read(aside)) and str(aside) in said


def test_the_fence_holds_before_the_new_holder_has_published_anything(address: str, tmp_path: Path) -> None:
    def sleep(old: Mirror) -> None:
        write(old, some(3))
        change_lease(address, expires=1.0, id="gone")
        with open_mirror(address, options(tmp_path / "b"), print), pytest.raises(LeaseLost):
            old.publish()
        raise KeyError

    with pytest.raises(KeyError):
        work(address, tmp_path / "a", sleep)
    assert copied(address, tmp_path / "c") == {}


def test_a_renewal_that_finds_another_holder_stops_the_work(address: str) -> None:
    held = Lease.take(Bucket(address), 0, seconds=0.2)
    change_lease(address, id="other", token=9)
    held._thread.join(30)
    with pytest.raises(LeaseLost):
        held.check()
    held.release()
    assert lease(address)["id"] == "other" and not lease(address)["free"]


def test_a_store_that_does_not_heed_conditions_is_refused(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import obstore

    put = obstore.put
    monkeypatch.setattr("obstore.put", lambda store, name, data, mode=None, **more: put(store, name, data, **more))
    with pytest.raises(RemoteError, match="does not heed If-Match"):
        work(address, tmp_path / "a", nothing)


@pytest.mark.parametrize("name", ["root.json", "lease.json"])
def test_a_flipped_bit_of_what_is_current(address: str, tmp_path: Path, name: str) -> None:
    work(address, tmp_path / "a", lambda mirror: write(mirror, some(3)))
    bucket = Bucket(address)
    found = bucket.read(name)
    assert found
    data = bytearray(found.data)
    data[len(data) // 3] ^= 1
    bucket.write(name, bytes(data))
    with pytest.raises(RemoteError, match=f"{name} is damaged"):
        work(address, tmp_path / "a", nothing)
