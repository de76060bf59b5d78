"""`mgi sample`: a grid, or each image by its own seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from growing import mgi
from PIL import Image
from places import GOLDEN

PGGAN = GOLDEN / "pggan_mganprior.pth"


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_each_image_depends_on_its_seed_alone(tmp_path: Path) -> None:
    said = mgi("sample", PGGAN, "--seeds", "1,5-7", "--each", "--out", tmp_path / "all").output
    names = [f"seed{seed:05d}.png" for seed in (1, 5, 6, 7)]
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == names and "seed00007.png" in said
    mgi("sample", PGGAN, "--seeds", "6", "--each", "--out", tmp_path / "one")
    assert (tmp_path / "one" / names[2]).read_bytes() == (tmp_path / "all" / names[2]).read_bytes()
    assert (pixels(tmp_path / "all" / names[1]) != pixels(tmp_path / "all" / names[2])).any()
    with Image.open(tmp_path / "all" / names[0]) as image:
        assert image.info["mgi"] == "generated image" and image.info["mgi:seed"] == "1"
    mgi("sample", PGGAN, "--seeds", "1,5-7", "--out", tmp_path / "grid.png")
    rows = len(pixels(tmp_path / "all" / names[0]))
    grid = pixels(tmp_path / "grid.png")
    assert np.array_equal(grid[:rows, rows:], pixels(tmp_path / "all" / names[1])) and grid.shape[0] == 2 * rows
    mgi("sample", PGGAN, "-n", "2", "--seed", "5", "--each", "--out", tmp_path / "counted")
    assert sorted(path.name for path in (tmp_path / "counted").iterdir()) == names[1:3]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--seeds", "9-1"), "--seeds: expected numbers and ranges such as 1,5-9, found '9-1'"),
        (("--seeds", "1,x"), "found 'x'"),
        (("--seeds", "0-2000"), "expected at most 1024 for a grid, found 2001"),
        (("--each", "--out", "grid.png"), "expected a folder for --each"),
        (("--seeds", "1-99999999999", "--each"), "expected at most 100,000 seeds"),
        (("--seeds", "99999999999999999999"), "none above 9,223,372,036,854,775,807"),
        (("--out", "grid.gif"), "expected a name that ends in .png, .jpg"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(arguments: tuple[str, ...], reason: str) -> None:
    assert reason in mgi("sample", PGGAN, *arguments, code=2).output


def test_a_grid_is_in_the_format_that_its_name_says(tmp_path: Path) -> None:
    for name, kind in (("grid.jpg", "JPEG"), ("grid.webp", "WEBP")):
        mgi("sample", PGGAN, "-n", "2", "--out", tmp_path / name)
        with Image.open(tmp_path / name) as image:
            assert image.format == kind and "mgi:seed: 0" in image.getexif()[0x010E]
