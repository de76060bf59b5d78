"""`mgi directions` on a tiny generator: what it prints, and what it refuses in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from places import GOLDEN
from typer.testing import CliRunner, Result

from flows.cli import app

GENERATOR = GOLDEN / "pggan_mganprior.pth"


def mgi(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["directions", *(str(argument) for argument in arguments)])


@pytest.mark.slow
def test_from_samples_to_a_direction(tmp_path: Path) -> None:
    result = mgi("sample", GENERATOR, "-n", "30", "--out", tmp_path)
    assert result.stdout.split() == [str(tmp_path / name) for name in ("latents.npz", "samples_00000.png")]
    with np.load(tmp_path / "latents.npz") as file:
        labels = [f"{index},{'yes' if z[0] > 0 else 'no'}" for index, z in enumerate(file["z"])]
    (tmp_path / "labels.csv").write_text("\n".join(["index,label", *labels]))
    fitted = mgi("fit", tmp_path / "latents.npz", tmp_path / "labels.csv", "--out", tmp_path / "yes.npy")
    assert fitted.exit_code == 0, fitted.output
    assert "in z, from no (" in fitted.stdout and "held-out accuracy 0." in fitted.stdout
    assert np.linalg.norm(np.load(tmp_path / "yes.npy")) == pytest.approx(1, abs=1e-5)


def test_components(tmp_path: Path) -> None:
    result = mgi("ganspace", GENERATOR, "--components", "2", "-n", "100", "--layer", "2", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    first, second = result.stdout.splitlines()
    assert first.startswith(str(tmp_path / "component_00.npy")) and "% of the variance" in second
    assert (tmp_path / "component_01.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("sample", "no-such-generator", "--out", "x"), "neither a generator of the zoo nor a file"),
        (("fit", "none.npz", "none.csv", "--out", "a.npy"), "none.npz does not exist"),
        (("fit", "none.npz", "none.csv", "--out", "a.txt"), "ends in .npy"),
        (("fit", "none.npz", "none.csv", "--out", "a.npy", "--space", "x"), "--space x"),
        (("ganspace", GENERATOR, "--components", "99", "--out", "x"), "at most so many"),
        (("ganspace", GENERATOR, "-n", "9", "--out", "x"), "too few"),
    ],
)
def test_errors_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str | Path, ...], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = mgi(*arguments)
    assert (result.exit_code, expected in result.output.replace("\n", " ")) == (2, True), result.output
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []
