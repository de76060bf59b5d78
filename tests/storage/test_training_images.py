"""The decoded images of a training run are those of the folder, by content."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from storage.folders import InputError
from storage.training_store import TrainingStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for number in range(50):
        draw(tmp_path / "images" / f"{number:02d}.bmp", number)
    return tmp_path


def draw(path: Path, seed: int) -> None:
    """Noise; without compression all files have one size."""
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def decode(folder: Path) -> tuple[np.ndarray, int]:
    """The images, and how many were decoded now."""
    decoded: list[int] = []
    store = TrainingStore(folder / "model")
    store.folder.mkdir(exist_ok=True)
    images = store.images(folder / "images", 32, lambda done, total: decoded.append(done))
    return np.array(images), len(decoded)


def test_images_are_decoded_once(folder: Path) -> None:
    first, count = decode(folder)
    assert count == 50
    again, count = decode(folder)
    assert count == 0 and np.array_equal(first, again)
    (folder / "images" / "07.bmp").touch()
    assert decode(folder)[1] == 0


def test_an_image_that_was_replaced_is_decoded_again(folder: Path) -> None:
    first, _ = decode(folder)
    path = folder / "images" / "07.bmp"
    old = path.stat()
    draw(path, 99)
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert path.stat().st_size == old.st_size
    again, count = decode(folder)
    assert count == 50
    assert [n for n in range(50) if not np.array_equal(first[n], again[n])] == [7]


def test_a_training_that_was_started_refuses_a_replaced_image(folder: Path) -> None:
    decode(folder)
    TrainingStore(folder / "model").create({"config": {}})
    draw(folder / "images" / "07.bmp", 99)
    with pytest.raises(InputError, match="changed since this training started"):
        decode(folder)


def test_images_decoded_by_an_older_version_stay(folder: Path) -> None:
    decode(folder)
    index = folder / "model" / "images.json"
    known = json.loads(index.read_text())
    sizes = [(name, (folder / "images" / name).stat().st_size) for name in sorted(known.pop("pictures"))]
    known["fingerprint"] = hashlib.sha256(repr((known.pop("resolution"), sizes)).encode()).hexdigest()
    index.write_text(json.dumps(known))
    assert decode(folder)[1] == 0
    draw(folder / "images" / "07.bmp", 99)
    assert decode(folder)[1] == 50
