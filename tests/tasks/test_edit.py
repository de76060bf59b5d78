"""Edits of a run: which pairs, which amounts, what is kept and what is made again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from marked import forget
from PIL import Image
from runs import make_inputs
from typer.testing import CliRunner, Result

from flows.cli import app
from tasks.editing.strips import has_key, strip, write_keyed

pytestmark = pytest.mark.usefixtures("stub")


def mgi(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two finished pairs; the stub's latents have three dimensions."""
    inputs = make_inputs(tmp_path / "inputs", 2)
    folders = (inputs / "sources", inputs / "exemplars")
    settings = ("--profile", inputs / "stub.toml", "--set", 'inversion.hypotheses=["L04N03"]', "--workers", "0")
    assert mgi("translate", *folders, "--out", tmp_path / "run", *settings).exit_code == 0
    np.save(tmp_path / "age.npy", np.array([[1.0, 0, 0]]))
    return tmp_path / "run"


def strips(run: Path) -> list[Path]:
    return sorted((run / "edits" / "age").glob("*.png"))


def tiles(path: Path) -> list[np.ndarray]:
    """The pictures of a strip of one row, uint8 [128,128,3]."""
    pixels = np.asarray(Image.open(path))
    return [pixels[24:152, x : x + 128] for x in range(0, pixels.shape[1], 132)]


def test_every_pair_gets_a_strip_around_its_inversion(run: Path) -> None:
    result = mgi("edit", run, "--direction", run.parent / "age.npy", "--scale", "-2..2", "--steps", "3")
    assert result.exit_code == 0, result.output
    assert [line.strip() for line in result.stdout.splitlines()] == [str(path) for path in strips(run)]
    finals = sorted((run / "final").glob("*.png"))
    assert [path.name for path in strips(run)] == [path.name for path in finals]
    for path, final in zip(strips(run), finals, strict=True):
        source, warp, low, middle, high = tiles(path)
        same = np.asarray(Image.open(final).resize((128, 128), Image.Resampling.LANCZOS))
        near = np.abs(middle.astype(int) - same)  # the stub draws the strip's picture at half the size
        assert near.max() <= 4
        for other in (source, warp, low, high):
            assert np.abs(other.astype(int) - same).mean() > 10


def test_full_pictures_lie_in_a_folder_of_their_own(run: Path) -> None:
    assert (
        mgi("edit", run, "--direction", run.parent / "age.npy", "--scale", "1.5", "--full", "--limit", "1").exit_code
        == 0
    )
    (path,) = strips(run)
    singles = sorted((run / "edits" / "age" / path.stem).iterdir())
    assert [single.name for single in singles] == ["+1.5.png", "0.png"]
    final = np.asarray(Image.open(run / "final" / path.name))
    np.testing.assert_array_equal(np.asarray(Image.open(singles[1])), final)
    assert np.asarray(Image.open(singles[0])).shape == final.shape


def test_what_is_there_stays_until_something_changes(run: Path) -> None:
    arguments = ("edit", run, "--direction", run.parent / "age.npy", "--scale", "-1..1", "--steps", "3")

    def stamps(*more: str) -> list[int]:
        assert mgi(*arguments, *more).exit_code == 0
        return [path.stat().st_mtime_ns for path in strips(run)]

    first = stamps()
    assert stamps() == first
    assert "(was there)" in mgi(*arguments).stdout
    strips(run)[0].write_bytes(strips(run)[0].read_bytes()[:500])  # cut off
    mended = stamps()
    assert mended[0] != first[0] and mended[1] == first[1]
    scaled = stamps("--scale", "-2..2")
    assert not set(scaled) & set(mended)
    np.save(run.parent / "age.npy", np.array([0, 1.0, 0]))
    turned = stamps("--scale", "-2..2")
    assert not set(turned) & set(scaled)
    strips(run)[0].unlink()
    assert "(was there)" in mgi(*arguments, "--scale", "-2..2").stdout
    assert len(strips(run)) == 2


def test_chosen_pairs_only(run: Path) -> None:
    names = sorted(path.stem for path in (run / "final").glob("*.png"))
    assert mgi("edit", run, "--direction", run.parent / "age.npy", "--pairs", names[1]).exit_code == 0
    assert [path.stem for path in strips(run)] == [names[1]]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (("--pairs", "nobody"), "has no pair nobody"),
        (("--scale", "3..-3"), "--scale 3..-3: expected A..B with A below B"),
        (("--scale", "much"), "--scale much"),
        (("--scale", "nan"), "--scale nan"),
        (("--scale", "-1..inf"), "--scale -1..inf"),
        (("--space", "x"), "--space x: expected z or w"),
        (("--space", "w"), "one in w, but the latents of this run move in z"),
        (("--steps", "1"), "--steps"),
    ],
)
def test_usage_errors_are_one_line_and_write_nothing(run: Path, more: tuple[str, ...], expected: str) -> None:
    result = mgi("edit", run, "--direction", run.parent / "age.npy", *more)
    assert result.exit_code == 2, result.output
    assert expected in result.output.replace("\n", " ")
    assert "Traceback" not in result.output
    assert not (run / "edits").exists()


def test_unusable_directions_and_runs(run: Path) -> None:
    np.save(run.parent / "long.npy", np.ones(4))
    np.save(run.parent / "nan.npy", np.array([np.nan, 1, 1]))
    for folder, direction, expected in (
        (run, "long.npy", "direction long has 4 dimensions, the generator of this run 3"),
        (run, "nan.npy", "NaN or infinity"),
        (run, "none.npy", "does not exist"),
        (run.parent, "age.npy", "holds no run"),
    ):
        result = mgi("edit", folder, "--direction", run.parent / direction)
        assert (result.exit_code, expected in result.output.replace("\n", " ")) == (2, True), result.output
    assert not (run / "edits").exists()


def test_pairs_without_a_result_are_left_out(run: Path) -> None:
    final, other = sorted((run / "final").glob("*.png"))
    forget(run, "select", final.stem)
    assert mgi("edit", run, "--direction", run.parent / "age.npy").exit_code == 0
    assert [path.name for path in strips(run)] == [other.name]
    named = mgi("edit", run, "--direction", run.parent / "age.npy", "--pairs", final.stem)
    assert (named.exit_code, "has no result yet" in named.output) == (2, True)
    forget(run, "select", other.stem)
    none = mgi("edit", run, "--direction", run.parent / "age.npy")
    assert (none.exit_code, "no result to edit yet" in none.output) == (2, True)


def test_another_generators_direction_is_warned_of(run: Path) -> None:
    (run.parent / "age.json").write_text('{"space": "z", "generator": "another"}')
    result = mgi("edit", run, "--direction", run.parent / "age.npy")
    assert result.exit_code == 0
    assert "was made for another" in result.output


def test_strips_enlarge_small_pictures_and_reduce_large_ones() -> None:
    small, large = np.full((8, 8, 3), 9, np.uint8), np.full((512, 512, 3), 9, np.uint8)
    assert strip([[("a", large), ("b", small)], [("c", small)]]).shape == (2 * (128 + 28) - 4, 2 * 132 - 4, 3)
    page = strip([[("a", small), ("b", large)]])
    assert page.shape == (256 + 24, 2 * 260 - 4, 3)
    assert (page[24:, :256] == 9).all() and (page[24:, 256:260] == 255).all()
    assert page[:24].min() < 128, "no words"


def test_keys(tmp_path: Path) -> None:
    path, pixels = tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8)
    assert not has_key(path, "one")
    write_keyed(path, pixels, "one", {"mgi:pair": "p"})
    assert has_key(path, "one") and not has_key(path, "two")
    path.write_bytes(b"text")
    assert not has_key(path, "one")
