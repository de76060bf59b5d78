"""Metrics of whole sets: equal to the packages they are named after, and to the formulas written plainly."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from metric_views import networks, noisier, pictures
from places import GOLDEN

from mgi.features.inception import InceptionFID
from mgi.images import to_float
from mgi.metrics import reduced
from mgi.metrics.base import SetViews
from mgi.metrics.frechet import frechet_distance
from mgi.metrics.gaussian import gaussian_of as gaussian
from mgi.metrics.reduced import ReducedMetric, vectors
from mgi.metrics.registry import metric
from mgi.metrics.sets import of_vectors
from mgi.metrics.sets import sliced_wasserstein as sliced
from mgi.metrics.sets.inception import clean_levels, clean_resize
from mgi.metrics.sets.inception_score import inception_score
from mgi.metrics.sets.of_vectors import frechet, frechet_of, kernel_of, of_many
from mgi.metrics.sets.sliced_wasserstein import pyramid, sliced_wasserstein


@pytest.fixture(scope="module")
def inception() -> InceptionFID:
    from standins import MAKERS

    state, _ = MAKERS["inception-fid"]()
    return InceptionFID(state)


def draw(n: int, d: int, shift: float = 0.0, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((n, d)) + shift).astype(np.float32)


@pytest.mark.parametrize(("n", "m"), [(5, 9), (30, 30), (12, 64)])
def test_few_vectors_have_the_distance_of_their_covariances(n: int, m: int) -> None:
    x, y = draw(n, 40), draw(m, 40, 0.3, seed=1)
    assert frechet(x, y) == pytest.approx(frechet_distance(gaussian(x), gaussian(y)), rel=1e-7)


def test_many_vectors_have_it_too() -> None:
    x, y = draw(300, 40), draw(200, 40, 0.3, seed=1)
    plain = frechet_distance(gaussian(x), gaussian(y))
    assert frechet(x, y) == pytest.approx(plain, rel=1e-9)
    assert of_many(gaussian(x[:5]), gaussian(y)) == frechet_distance(gaussian(x[:5]), gaussian(y))  # of rank 4
    broken = replace(gaussian(x), covariance=np.full((40, 40), np.nan))
    assert math.isnan(of_many(broken, gaussian(y)))


@pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")
def test_frechet_equals_pytorch_fid_on_the_same_features() -> None:
    from pytorch_fid.fid_score import calculate_frechet_distance

    x, y = draw(300, 24), draw(200, 24, 0.2, seed=1)
    theirs = calculate_frechet_distance(x.mean(0), np.cov(x.T), y.mean(0), np.cov(y.T))
    assert frechet(x, y) == pytest.approx(theirs, abs=1e-3)
    assert frechet_of({"vectors": x}, {"vectors": y}).value == pytest.approx(theirs, abs=1e-3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Matrix is singular")
def test_fid_equals_pytorch_fid_on_the_same_pictures(inception: InceptionFID) -> None:
    from pytorch_fid.fid_score import calculate_frechet_distance

    images, others = (list(torch.rand(3, 1, 3, rows, rows) * 2 - 1) for rows in (64, 96))
    fid = metric("fid")
    assert isinstance(fid, ReducedMetric)
    ours = fid(SetViews(images, reference=others), lambda name: inception)
    sides = [
        np.stack([inception(i, ["pool3"])["pool3"].flatten().double().numpy() for i in side])
        for side in (images, others)
    ]
    statistics = [(side.mean(0), np.cov(side, rowvar=False)) for side in sides]
    theirs = calculate_frechet_distance(*statistics[0], *statistics[1])
    # Three pictures leave covariances singular, where their matrix square root needs an epsilon of 1e-6 each.
    assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-3)


def test_few_images_are_noted_and_one_has_no_distance() -> None:
    some = frechet_of({"vectors": draw(10, 40)}, {"vectors": draw(99, 40, seed=1)})
    assert "10 images are fewer than 40 dimensions" in some.note
    assert frechet_of({"vectors": draw(99, 40)}, {"vectors": draw(99, 40, seed=1)}).note == ""
    one = frechet_of({"vectors": draw(1, 40)}, {"vectors": draw(99, 40)})
    assert math.isnan(one.value) and one.note == "a single image has no covariance"


def test_kernel_distance_equals_torchmetrics() -> None:
    from torchmetrics.image.kid import poly_mmd

    x, y = draw(60, 16), draw(60, 16, 0.4, seed=1)
    found = kernel_of({"vectors": x}, {"vectors": y})
    assert found.value == pytest.approx(float(poly_mmd(torch.from_numpy(x), torch.from_numpy(y))), rel=1e-4)
    assert found.low < found.value < found.high


def test_kernel_distance_of_many_is_the_mean_over_subsets() -> None:
    found = kernel_of({"vectors": draw(1500, 8)}, {"vectors": draw(1400, 8, seed=1)})
    assert found.low < 0 < found.high and abs(found.value) < 0.05


@pytest.mark.parametrize(("n", "m"), [(101, 101), (150, 120), (40, 110), (600, 500)])
def test_intervals_of_kernel_distances_are_as_wide_as_they_spread(n: int, m: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(of_vectors, "SUBSET", 100)
    found = [kernel_of({"vectors": draw(n, 8, 0.5, s)}, {"vectors": draw(m, 8, seed=99 + s)}) for s in range(60)]
    spread = 1.96 * float(np.std([one.value for one in found], ddof=1))
    said = float(np.mean([one.high - one.low for one in found])) / 2
    assert 0.7 < said / spread < 1.6
    assert math.isnan(kernel_of({"vectors": draw(5, 8)}, {"vectors": draw(110, 8)}).low)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    truth = 16 * 0.5**2
    held = 0
    for seed in range(20):
        biased = frechet_of({"vectors": draw(400, 16, seed=seed)}, {"vectors": draw(400, 16, 0.5, seed=100 + seed)})
        held += biased.low - 0.4 < truth < biased.high + 0.4 and biased.high - biased.low < 1.5
    assert held >= 17


@pytest.mark.filterwarnings("ignore:Metric `InceptionScore` will save:UserWarning", "ignore:std.*:UserWarning")
def test_inception_score_equals_torchmetrics() -> None:
    from torchmetrics.image.inception import InceptionScore

    logits = torch.from_numpy(draw(50, 12) * 2)

    class Given(torch.nn.Module):
        num_features = 12

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return logits

    theirs = InceptionScore(feature=Given(), splits=1)
    theirs.update(torch.zeros(50, 3, 8, 8, dtype=torch.uint8))
    assert inception_score(logits.numpy(), 1)[0] == pytest.approx(float(theirs.compute()[0]), rel=1e-5)
    assert len(inception_score(logits.numpy())) == 10


@pytest.mark.slow
def test_logits_are_the_classifier_of_pool3(inception: InceptionFID) -> None:
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    found = inception(image, ["pool3", "logits"])
    weight = inception.stages["logits"].weight.flatten(1)
    torch.testing.assert_close(found["logits"].flatten(1), found["pool3"].flatten(1) @ weight.T, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("rows", [64, 640])
def test_clean_levels_are_those_of_the_package(rows: int) -> None:
    levels = np.random.RandomState(rows).randint(0, 256, (rows, rows, 3)).astype(np.uint8)
    images = to_float(levels)
    with np.load(GOLDEN / "clean_resize.npz") as file:
        expected = torch.from_numpy(file[f"levels_{rows}"]).permute(2, 0, 1)[None]
    torch.testing.assert_close(clean_resize(images)[..., ::13, ::13].add(1).mul(127.5), expected, rtol=0, atol=1e-3)
    torch.testing.assert_close(clean_levels(images)[..., ::13, ::13], (expected - 128) / 128, rtol=0, atol=1e-5)


def test_clean_resize_filters_what_plain_sampling_aliases() -> None:
    stripes = torch.ones(1, 3, 1196, 1196)
    stripes[..., ::2] = -1
    small = clean_resize(stripes)
    assert small.shape == (1, 3, 299, 299) and small[..., 2:-2].abs().max() < 1e-3
    assert clean_resize(small) is small


def test_pyramids_add_up_to_the_picture() -> None:
    image = pictures(1)[:1]
    levels = pyramid(image)
    assert [level.shape[-1] for level in levels] == [256, 128, 64, 32, 16]
    assert all(level.mean().abs() < 0.02 for level in levels[:-1])


def test_sliced_wasserstein_of_one_set_is_zero_and_grows_with_the_difference() -> None:
    x = draw(2000, 147)
    heavy = x.copy()
    heavy[:, 1:] = heavy[:, :1]  # flat patches, as of a blurred picture
    assert sliced_wasserstein(x, x) == 0
    assert sliced_wasserstein(x, draw(2000, 147, seed=1)) < 0.05 < sliced_wasserstein(x, heavy)


def test_patches_of_many_pictures_are_thinned_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sliced, "MOST", 1024)
    images, kept = draw(300 * 128, 3).reshape(300, 128, 3), sliced.Patches()
    for image in images:
        kept.add(image)
        assert sum(map(len, kept.found)) <= 2 * 1024
    assert np.array_equal(kept.result(), images[:, :3].reshape(-1, 3))


def test_all_pictures_of_the_larger_set_are_looked_at() -> None:
    x, flat = draw(1000, 147), np.repeat(draw(1000, 1, seed=1), 147, axis=1)
    few = draw(500, 147, seed=2)
    one, other = (sliced_wasserstein(np.concatenate(parts), few) for parts in ((x, flat), (flat, x)))
    assert one == pytest.approx(other, rel=0.05) and one > 2 * sliced_wasserstein(x, few)


@pytest.mark.parametrize("name", ["frechet-vgg16", "frechet-lite0", "kernel-lite0", "frechet-descriptor", "swd"])
def test_noise_moves_a_set_away(name: str) -> None:
    found = metric(name)
    assert isinstance(found, ReducedMetric)
    images = [image[None] for image in pictures(6)]
    noisy = [noisier(image, 0.3) for image in images]
    near, far = (found(SetViews(side, reference=images[::-1]), networks) for side in (images, noisy))
    assert near < far


def test_statistics_of_many_vectors_are_kept_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduced, "BLOCK", 4)
    x, y = draw(30, 3), draw(20, 3, 0.5, seed=1)
    sides = [vectors(torch.from_numpy(side)[:, None, :, None], lambda images: images[..., 0]) for side in (x, y)]
    for side, kept in zip((x, y), sides, strict=True):
        assert np.array_equal(kept["vectors"], side)
        np.testing.assert_allclose(kept["covariance"], np.cov(side.T.astype(float)), rtol=1e-9)
    value = frechet(x, y)
    monkeypatch.setattr(of_vectors, "gaussian_of", None)  # not needed again
    monkeypatch.setattr(of_vectors, "MOST_VECTORS", 0)  # except of halves, for the interval
    assert frechet_of(*sides).value == pytest.approx(value, rel=1e-9)
    assert "covariance" not in vectors(torch.zeros(3, 1, 3, 1), lambda images: images[..., 0])


def test_vectors_of_mixed_sizes_keep_their_order() -> None:
    images = [torch.full((1, 3, rows, rows), float(number)) for number, rows in enumerate((4, 4, 8, 4, 4, 4))]
    found = vectors(images, lambda batch: batch.mean((2, 3)), batch=2)["vectors"]
    assert found[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="found none"):
        vectors([], lambda batch: batch.mean((2, 3)))
