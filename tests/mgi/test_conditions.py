"""Label maps made of pictures, and maps of key points."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mgi.config import ConfigError
from mgi.systems.conditions import CONDITIONS, classes_of
from mgi.systems.keypoints import SIGMA, gaussian_maps, read_poses
from mgi.systems.segments import CLASSES, instances, lab, nearest_class, segments, without_specks

NUMBERS = {name: number for number, name in enumerate(CLASSES)}


def flag(*names: str, rows: int = 48, columns: int = 60) -> np.ndarray:
    """Upright stripes of colours."""
    colours = np.array([CLASSES[name] for name in names], np.uint8)
    return colours[np.arange(columns) * len(names) // columns][None].repeat(rows, 0)


def test_a_class_means_the_same_in_every_picture() -> None:
    first, second = segments(flag("blue", "white", "red")), segments(flag("red", "green"))
    assert first.shape == (48, 60, 1) and first.dtype == np.uint8
    assert np.unique(first).tolist() == sorted(NUMBERS[name] for name in ("blue", "white", "red"))
    assert first[0, -1] == second[0, 0] == NUMBERS["red"]
    each = nearest_class(np.array([*CLASSES.values()], np.uint8)[None])
    assert each[0].tolist() == [*range(len(CLASSES))]
    assert classes_of("segments") == tuple(CLASSES) and classes_of("edges") == ()


def test_lab_is_that_of_the_standard() -> None:
    known = {(255, 255, 255): (100, 0, 0), (255, 0, 0): (53.24, 80.09, 67.20), (0, 0, 255): (32.30, 79.19, -107.86)}
    found = lab(np.array([*known], np.uint8)[None])[0]
    assert np.abs(found - np.array([*known.values()])).max() < 0.05


def test_grain_and_specks_are_gone_and_large_pictures_keep_their_size() -> None:
    draw = np.random.default_rng(0)
    picture = flag("blue", "orange", columns=64, rows=64).copy()
    picture[draw.random((64, 64)) < 0.1] = (240, 240, 238)
    picture[10:12, 10:12] = (20, 20, 22)
    found = segments(picture)
    assert np.unique(found).tolist() == [NUMBERS["orange"], NUMBERS["blue"]]
    assert (found[:, :30] == NUMBERS["blue"]).all() and (found[:, 34:] == NUMBERS["orange"]).all()
    assert np.array_equal(found, segments(picture))
    large = segments(picture.repeat(8, 0).repeat(8, 1))
    assert large.shape == (512, 512, 1) and (large[:, :220] == NUMBERS["blue"]).all()


def test_a_speck_becomes_what_is_nearest_and_larger() -> None:
    labels = np.full((9, 9), 3, np.uint8)
    labels[:, 6:] = 5
    labels[4, 1], labels[4, 7] = 9, 9
    found = without_specks(labels, 2)
    assert found[4, 1] == 3 and found[4, 7] == 5 and set(np.unique(found)) == {3, 5}
    assert np.array_equal(without_specks(labels, 1), labels)


def test_instances_are_connected_by_sides() -> None:
    labels = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0]], np.uint8)
    found = instances(labels)
    regions = {tuple(map(tuple, np.argwhere(found == number))) for number in np.unique(found)}
    assert regions == {((1, 0),), ((0, 2), (1, 2), (2, 1), (2, 2)), ((0, 0), (0, 1), (1, 1)), ((2, 0),)}
    assert np.unique(found).tolist() == [0, 1, 2, 3]


def test_all_conditions_are_deterministic_bytes_of_the_pictures_size() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    for name, make in CONDITIONS.items():
        found = make(picture)
        assert found.dtype == np.uint8 and found.shape == (40, 50, 1 if classes_of(name) else 3)
        assert np.array_equal(found, make(picture.copy()))


ROWS = "picture,name,x,y,width,height\na.png,nose,10,20,40,80\na.png,eye,12,18,40,80\nb/c.png,eye,1,2,20,20\n"
PICTURES = {
    "a.png": {
        "width": 40,
        "height": 80,
        "points": [{"name": "nose", "x": 10, "y": 20}, {"name": "eye", "x": 12, "y": 18}],
    },
    "b/c.png": {"width": 20, "height": 20, "points": [{"name": "eye", "x": 1, "y": 2}]},
}
COCO = {
    "images": [
        {"id": 7, "file_name": "a.png", "width": 40, "height": 80},
        {"id": 8, "file_name": "b/c.png", "width": 20, "height": 20},
    ],
    "categories": [{"id": 1, "name": "person", "keypoints": ["nose", "eye"]}],
    "annotations": [
        {"image_id": 7, "category_id": 1, "keypoints": [10, 20, 2, 12, 18, 1]},
        {"image_id": 8, "category_id": 1, "keypoints": [0, 0, 0, 1, 2, 2]},
    ],
}


@pytest.mark.parametrize("text", [ROWS, json.dumps(PICTURES), json.dumps(COCO)], ids=["csv", "json", "coco"])
def test_three_kinds_of_files_say_the_same(text: str, tmp_path: Path) -> None:
    file = tmp_path / "points"
    file.write_text(text)
    poses, names = read_poses(file)
    assert names == ("nose", "eye") and list(poses) == ["a.png", "b/c.png"]
    assert poses["a.png"].size == (40, 80) and poses["a.png"].points == [("nose", 10, 20), ("eye", 12, 18)]
    assert poses["b/c.png"].points == [("eye", 1, 2)]


@pytest.mark.parametrize(
    "text", ["", "name,x\na,1\n", '{"a.png": [{"x": 1}]}', "{", '{"a.png": [{"name": "n", "x": NaN, "y": 1}]}', "{}"]
)
def test_other_files_are_refused_in_one_line(text: str, tmp_path: Path) -> None:
    file = tmp_path / "points"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"points.*expected") as caught:
        read_poses(file)
    assert "\n" not in str(caught.value)


def test_a_point_is_a_gaussian_at_its_place() -> None:
    points = [("eye", 9.5, 19.5), ("eye", 29.5, 59.5)]
    maps = gaussian_maps(points, ("nose", "eye"), (40, 80), 32)
    assert maps.shape == (2, 64, 32) and maps.dtype == np.float16 and not maps[0].any()
    by_hand = np.zeros((64, 32))
    for _, x, y in points:
        for row in range(64):
            for column in range(32):
                away = (row - ((y + 0.5) * 0.8 - 0.5)) ** 2 + (column - ((x + 0.5) * 0.8 - 0.5)) ** 2
                by_hand[row, column] = max(by_hand[row, column], np.exp(-away / (2 * (SIGMA * 32) ** 2)))
    assert np.abs(maps[1] - by_hand).max() < 1e-3
