"""The metric `detail`: bands, their ratio to the domain, and the statistics' file."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from mgi import scoring
from mgi.metrics.bands import DetailStatistics, band_deviations, build_detail, cached_detail, read_detail
from mgi.metrics.base import Views
from mgi.metrics.domain import StatisticsError
from mgi.metrics.registry import metric
from mgi.profiles import load_config
from mgi.statistics import shipped_detail


def noise(rows: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 3, rows, rows, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_bands_are_what_each_halving_loses():
    image = noise(32)
    found = band_deviations(image)
    assert list(found) == [32, 16, 8]
    smaller = F.avg_pool2d(image, 2)
    for rows, band in ((32, image - F.interpolate(smaller, size=32)), (16, smaller - means_in_place(smaller))):
        assert found[rows] == pytest.approx(float(band.std()), rel=1e-5)


def means_in_place(image: torch.Tensor) -> torch.Tensor:
    return F.interpolate(F.avg_pool2d(image, 2), scale_factor=2)


def test_a_flat_picture_has_no_detail_and_the_domain_has_its_own():
    domain = build_detail([noise(64, seed) for seed in range(4)], "noise")
    of_noise, of_grey = (
        metric("detail")(Views(image, detail=domain), no_network) for image in (noise(64, 9), torch.zeros(1, 3, 64, 64))
    )
    assert of_noise == pytest.approx(1, abs=0.15)
    assert of_grey == 0


def test_blur_takes_the_finest_band_only():
    domain = build_detail([noise(64, seed) for seed in range(4)], "noise")
    views = Views(F.interpolate(F.avg_pool2d(noise(64, 9), 2), scale_factor=2), detail=domain)
    bands = [metric(f"detail-{band}")(views, no_network) for band in range(1, 5)]
    assert bands[0] < 1e-6 < 0.8 < bands[1]
    assert metric("detail")(views, no_network) == bands[0]


def test_half_as_many_rows_are_compared_with_the_next_band():
    domain = build_detail([noise(64, seed) for seed in range(4)], "noise")
    small = F.avg_pool2d(noise(64, 9), 2)
    assert domain.ratios(small)[:2] == pytest.approx(domain.ratios(noise(64, 9))[1:3])


def test_odd_sizes_are_fitted_and_tiny_ones_have_no_number():
    domain = build_detail([noise(64)], "noise")
    assert domain.ratios(noise(100))[0] > 0
    assert all(math.isnan(ratio) for ratio in domain.ratios(noise(4)))
    assert math.isnan(metric("detail")(Views(noise(4), detail=domain), no_network))
    assert [math.isnan(ratio) for ratio in DetailStatistics({16: 0.1}, "").ratios(noise(16))] == [
        False,
        True,
        True,
        True,
    ]


def test_statistics_come_back_and_damaged_ones_are_made_again(tmp_path: Path):
    made = build_detail([noise(16)], "noise")
    made.save(tmp_path / "a.json")
    assert read_detail(tmp_path / "a.json") == made
    damaged = ("", "[]", "{}", '{"format": 2, "made_from": "", "deviations": {}}', "[" * 100_000)
    infinite = '{"format": 1, "made_from": "", "deviations": {"16": Infinity}}'
    for text in (*damaged, infinite):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(StatisticsError, match=r"a\.json"):
            read_detail(tmp_path / "a.json")
    assert cached_detail(tmp_path / "a.json", lambda: made) == made == read_detail(tmp_path / "a.json")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_domain_without_pictures_of_even_rows_is_refused():
    with pytest.raises(StatisticsError, match="even number of rows"):
        build_detail([noise(7)], "noise")


@pytest.mark.parametrize(("name", "rows"), [("mobile-stylegan-ffhq", 1024), ("kaokore", 64), ("kaokore-128", 128)])
def test_shipped_ones_know_all_sizes_of_their_generator(name: str, rows: int):
    path = shipped_detail(name)
    assert path is not None
    assert max(read_detail(path).deviations) == rows
    assert name in json.loads(path.read_text())["made_from"]


def test_a_folder_is_measured_at_its_own_sizes(tmp_path: Path):
    domain = tmp_path / "domain"
    domain.mkdir()
    for number, size in enumerate(((70, 80), (40, 33))):
        pixels = np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(domain / f"{number}.png")
    config = load_config("quick", {"selection.domain": str(domain)})
    found = scoring.load_detail(config, "cpu", no_generator)
    assert list(found.deviations) == [64, 32, 16, 8]
    assert found == scoring.load_detail(config, "cpu", no_generator)
    assert scoring.load_detail(load_config("quick"), "cpu", no_generator).made_from.startswith("kaokore")


def no_network(name: str):
    raise AssertionError(f"detail needs no network, asked for {name}")


def no_generator():
    raise AssertionError("nothing has to be generated")
