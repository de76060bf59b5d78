"""Labels to two classes, latents from a file, amounts from a scale: what can be used, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from places import GOLDEN
from tiny import tiny_stylegan2

from mgi.config import ConfigError
from mgi.directions.amounts import amounts_of
from mgi.directions.labels import read_labels, two_classes
from mgi.directions.samples import draw, picture, read_latents
from mgi.generators import load_file


def table(folder: Path, rows: list[str], header: str = "index,label") -> Path:
    (folder / "labels.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return folder / "labels.csv"


def test_labels_two_classes_or_numbers() -> None:
    def up(labels: list[str], **how: object) -> tuple[list[bool], tuple[str, str]]:
        sides, names = two_classes(labels, **how)  # type: ignore[arg-type]
        return sides.tolist(), names

    assert up(["no", "yes", "no"]) == ([False, True, False], ("no", "yes"))
    assert up(["old", "young"], positive="old") == ([True, False], ("young", "old"))
    assert up(["10", "9", "10"]) == ([True, False, True], ("9", "10"))  # by value, not by letter
    assert up(["1", "2", "3", "4.5"]) == ([False, False, True, True], ("up to 2.5", "above 2.5"))
    assert up(["1", "2", "3"], threshold=1.0) == ([False, True, True], ("up to 1", "above 1"))
    for labels, how, expected in (
        (["a", "b", "c"], {}, "found 3 different ones: a, b, c"),
        (["a", "a"], {}, "found 1"),
        (["a", "b"], {"threshold": 1.0}, "or numbers"),
        (["1", "2", "nan"], {}, "or numbers"),
        (["a", "b"], {"positive": "c"}, "the labels are a and b"),
        (["1", "2", "3"], {"positive": "3"}, "the larger ones"),
        ([], {}, "none"),
    ):
        with pytest.raises(ConfigError, match=expected):
            up(labels, **how)


@pytest.mark.parametrize(
    ("rows", "header", "expected"),
    [
        (["1,a"], "number,label", "found number, label"),
        (["1,a", "60,b"], "index,label", "row 3: index 60; samples are 0 to 59"),
        (["-1,a"], "index,label", "row 2: index -1"),
        (["x,a"], "index,label", "row 2: index x"),
        ([",a"], "index,label", "row 2: index missing"),
        (["1,a", "1,b"], "index,label", "row 3: sample 1 has a label already"),
    ],
)
def test_labels_that_cannot_be_used_name_their_row(tmp_path: Path, rows: list[str], header: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        read_labels(table(tmp_path, rows, header), 60)


def test_rows_without_a_label_are_left_out(tmp_path: Path) -> None:
    assert read_labels(table(tmp_path, ["0, a", "1,", "2,b ", "3"], "index , label"), 60) == {0: "a", 2: "b"}


def test_latents_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("text")
    np.save(tmp_path / "one.npy", np.ones(3))
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    np.savez(tmp_path / "objects.npz", z=np.array([{}], object))
    np.savez(tmp_path / "short.npz", z=np.ones((3, 2)), w=np.ones((2, 2)), generator=np.array("g"))
    for name, expected in (
        ("none", "does not exist"),
        ("text", "is no latents.npz"),
        ("one", "is no latents.npz"),
        ("other", "holds a; expected z"),
        ("objects", "is no latents.npz"),
        ("short", "w is not a finite"),
    ):
        with pytest.raises(ConfigError, match=expected):
            read_latents(tmp_path / f"{name}.npz")


def test_amounts() -> None:
    assert amounts_of("-3..3", 7) == (-3, -2, -1, 0, 1, 2, 3)
    assert amounts_of("-3..3", 4) == (-3, -1, 0, 1, 3)  # the inversion itself is always there
    assert amounts_of("-0.3..0.3", 7) == (-0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3)
    assert amounts_of("-2") == (-2, 0)
    assert amounts_of("0") == (0,)
    with pytest.raises(ConfigError, match="at least 2"):
        amounts_of("1..2", 1)


@pytest.mark.parametrize(("file", "names"), [("pggan_mganprior", {"z"}), ("stylegan2_rosinality", {"z", "w"})])
def test_a_latent_depends_on_the_seed_and_its_number_only(file: str, names: set[str]) -> None:
    generator = load_file(GOLDEN / f"{file}.pth")
    few, many, other = (draw(generator, count, seed) for count, seed in ((2, 0), (6, 0), (2, 1)))
    assert few.keys() == many.keys() == names
    for name in names:
        np.testing.assert_allclose(few[name], many[name][:2], rtol=1e-5, atol=1e-6)
        assert not np.allclose(few[name], other[name])


def test_the_picture_of_w_is_that_of_its_z() -> None:
    generator = tiny_stylegan2()
    drawn = {name: torch.from_numpy(latents) for name, latents in draw(generator, 2, 0).items()}
    shown = {space: picture(generator, drawn[space][0], space) for space in ("z", "w")}  # type: ignore[arg-type]
    assert shown["z"].shape == (generator.resolution, generator.resolution, 3)
    assert np.abs(shown["z"].astype(int) - shown["w"]).max() <= 1
    assert np.abs(shown["z"].astype(int) - picture(generator, drawn["z"][1])).max() > 10
