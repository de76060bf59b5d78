"""A byte of the user's own checkpoint changes on the disk: nobody pinned its hash, and the next load notices."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from mgi.weights import WeightsCorrupt, WeightsMissing, identity, load_generator, zoo
from mgi.weights.identity import content_hashes

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(identity, "user_cache_path", lambda name: tmp_path / "cache" / name)
    monkeypatch.setattr(identity, "WORTH_REMEMBERING", 0)  # the test's checkpoint is small
    path = tmp_path / "mine.pth"
    path.write_bytes((GOLDEN / "pggan_mganprior.pth").read_bytes())
    return path


def flip(path: Path, keep_time: bool = True, seed: int = 0) -> None:
    """Flip one bit of a number, where no reader looks."""
    state = torch.load(path, weights_only=True)
    needle = state["layer0.conv.weight"].numpy().tobytes()
    data, stat = bytearray(path.read_bytes()), path.stat()
    place = data.index(needle) + int(np.random.default_rng(seed).integers(len(needle)))
    data[place] ^= 1
    path.write_bytes(data)
    if keep_time:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("seed", range(5))
def test_a_flipped_bit_is_noticed_at_the_second_load(checkpoint: Path, seed: int) -> None:
    load_generator(checkpoint)
    load_generator(checkpoint)
    intact = checkpoint.read_bytes()
    flip(checkpoint, seed=seed)
    content_hashes([checkpoint], checkpoint)  # what compares runs learns the new hash, and hides nothing
    for _ in range(2):
        with pytest.raises(WeightsCorrupt, match="it is damaged; get the file again") as caught:
            load_generator(checkpoint)
        assert "\n" not in str(caught.value)
    checkpoint.write_bytes(intact)
    load_generator(checkpoint)


def test_a_replaced_checkpoint_is_taken(checkpoint: Path) -> None:
    load_generator(checkpoint)
    flip(checkpoint, keep_time=False)
    os.utime(checkpoint, ns=(0, 1))
    load_generator(checkpoint)
    flip(checkpoint)
    with pytest.raises(WeightsCorrupt):
        load_generator(checkpoint)
    os.utime(checkpoint)  # `touch`, as the message says
    load_generator(checkpoint)


def test_a_copy_elsewhere_is_another_file(checkpoint: Path, tmp_path: Path) -> None:
    load_generator(checkpoint)
    other = tmp_path / "other.pth"
    other.write_bytes(checkpoint.read_bytes())
    flip(other)
    load_generator(other)


def test_a_cache_that_cannot_be_written_stops_nobody(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"no folder")
    load_generator(checkpoint)
    load_generator(checkpoint)


def test_what_has_no_pinned_hash_in_the_zoo_is_held_to_its_first_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MGI_WEIGHTS_DIR", str(tmp_path))
    item = next(entry for entry in zoo.entries() if not entry.sha256 and not entry.in_package)
    item.path.write_bytes(b"converted")
    item.record_path.write_text(f'{{"sha256": "{zoo.sha256_of(item.path)}"}}')
    assert zoo.state(item) == "here"
    stat = item.path.stat()
    item.path.write_bytes(b"conwerted")
    os.utime(item.path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(WeightsCorrupt):
        zoo.verify(item.name)  # another process: this one remembers a hash while size and time stay
    item.path.unlink()
    with pytest.raises(WeightsMissing):
        zoo.verify(item.name)
