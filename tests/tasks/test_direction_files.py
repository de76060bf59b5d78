"""Samples to label, labels to a direction, components with their pictures: on a tiny generator, file by file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from places import GOLDEN

from mgi.config import ConfigError
from mgi.directions import read_direction
from mgi.directions.samples import read_latents
from tasks.editing.directions import fit_direction, write_components, write_samples

PGGAN, STYLED = str(GOLDEN / "pggan_mganprior.pth"), str(GOLDEN / "stylegan2_rosinality.pth")


def test_samples_have_their_own_numbers_and_pages(tmp_path: Path) -> None:
    paths = list(write_samples(PGGAN, 103, 0, tmp_path))
    assert [path.name for path in paths] == ["latents.npz", "samples_00000.png", "samples_00100.png"]
    full, rest = (np.asarray(Image.open(path)) for path in paths[1:])
    assert full.shape == (10 * 156 - 4, 10 * 132 - 4, 3)
    assert rest.shape == (152, 3 * 132 - 4, 3)
    latents = read_latents(paths[0])
    assert latents["z"].shape == (103, 24) and "w" not in latents
    few = read_latents(next(iter(write_samples(PGGAN, 10, 0, tmp_path / "few"))))
    np.testing.assert_array_equal(few["z"], latents["z"][:10])  # a sample depends on the seed and its number only


def test_pages_that_are_right_stay(tmp_path: Path) -> None:
    (_, page) = write_samples(PGGAN, 3, 0, tmp_path)
    before = page.stat().st_mtime_ns
    list(write_samples(PGGAN, 3, 0, tmp_path))
    assert page.stat().st_mtime_ns == before
    list(write_samples(PGGAN, 3, 1, tmp_path))
    assert page.stat().st_mtime_ns != before


def test_styles_are_sampled_too(tmp_path: Path) -> None:
    latents = read_latents(next(iter(write_samples(STYLED, 5, 0, tmp_path))))
    assert latents["w"].shape == latents["z"].shape


def sampled(folder: Path, count: int = 60) -> Path:
    """latents.npz with random latents."""
    z = np.random.default_rng(0).standard_normal((count, 8)).astype(np.float32)
    np.savez(folder / "latents.npz", z=z, generator=np.array("somebody"))
    return folder / "latents.npz"


def table(folder: Path, rows: list[str], header: str = "index,label") -> Path:
    (folder / "labels.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return folder / "labels.csv"


def test_labels_become_a_described_direction(tmp_path: Path) -> None:
    latents = sampled(tmp_path)
    z = read_latents(latents)["z"]
    labels = table(tmp_path, [f"{n},{'old' if z[n, 2] > 0 else 'young'}" for n in range(60)] + ["", "3,"][:1])
    fit = fit_direction(latents, labels, tmp_path / "age.npy", positive="old")
    assert (fit.space, fit.negative, fit.positive) == ("z", "young", "old")
    assert sum(fit.counts) == 60
    direction = read_direction(tmp_path / "age.npy")
    assert (direction.space, direction.generator) == ("z", "somebody")
    assert np.argmax(direction.vector) == 2
    described = json.loads((tmp_path / "age.json").read_text())
    assert described["held_out_accuracy"] == pytest.approx(fit.boundary.accuracy, abs=1e-4)
    assert described["labels"] == list(fit.counts)
    with pytest.raises(ConfigError, match="no latents in w"):
        fit_direction(latents, labels, tmp_path / "other.npy", space="w")
    assert not (tmp_path / "other.npy").exists()


@pytest.mark.parametrize(("generator", "space"), [(PGGAN, "z"), (STYLED, "w")])
def test_components_come_with_pictures_and_numbers(tmp_path: Path, generator: str, space: str) -> None:
    found = list(write_components(generator, 2, 100, tmp_path))
    assert [path.name for path, _ in found] == ["component_00.npy", "component_01.npy"]
    for path, known in found:
        direction = read_direction(path)
        assert (direction.space, direction.generator) == (space, generator)
        assert json.loads(path.with_suffix(".json").read_text()) == known
        assert np.asarray(Image.open(path.with_suffix(".png"))).shape == (3 * 156 - 4, 7 * 132 - 4, 3)
    assert found[0][1]["explained_variance"] >= found[1][1]["explained_variance"] > 0
    stamp = (tmp_path / "component_00.png").stat().st_mtime_ns
    list(write_components(generator, 2, 100, tmp_path))
    assert (tmp_path / "component_00.png").stat().st_mtime_ns == stamp
