"""Distances against golden vectors, streaming statistics, domain files, and the rules of selection."""

import itertools
import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mgi import scoring
from mgi.metrics.domain import (
    DomainStatistics,
    StatisticsError,
    build_statistics,
    cache_path,
    cached_statistics,
    load_statistics,
)
from mgi.metrics.frechet import frechet_distance, kernel_distance
from mgi.metrics.gaussian import Gaussian, GaussianAccumulator
from mgi.metrics.locations import lane_features, pooled_vector
from mgi.metrics.paper import paper_fd
from mgi.metrics.set_fid import set_fid
from mgi.metrics.sifid import sifid
from mgi.metrics.spatial_fd import spatial_fd

GOLDEN = Path(__file__).parents[1] / "golden"


class Pixels:
    """A feature network whose features are four channels of the picture."""

    name = "pixels"
    layers = ("same", "small", "pooled")

    def channels(self, layer: str) -> int:
        return 4

    def __call__(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        features = torch.cat([images, images.prod(1, keepdim=True)], 1)
        factor = {"same": 1, "small": 8, "pooled": images.shape[-1]}
        return {layer: F.avg_pool2d(features, factor[layer]) for layer in layers}


def gaussian(vectors: np.ndarray) -> Gaussian:
    accumulator = GaussianAccumulator(vectors.shape[1])
    accumulator.update(vectors)
    return accumulator.result()


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "frechet.npz") as file:
        return dict(file)


@pytest.fixture
def domain() -> DomainStatistics:
    torch.manual_seed(0)
    return build_statistics(torch.rand(3, 4, 3, 32, 32), Pixels(), "same", components=3, made_from="noise")


# Distances


def test_frechet_distance_equals_golden(golden) -> None:
    found = frechet_distance(gaussian(golden["x"]), gaussian(golden["y"]))
    assert found == pytest.approx(float(golden["frechet_distance"]), abs=1e-10)


def test_kernel_distance_equals_golden(golden) -> None:
    found = kernel_distance(golden["x"], golden["y"])
    assert found == pytest.approx(float(golden["kid_poly3_unbiased"]), abs=1e-12)
    with pytest.raises(ValueError, match="at least two vectors"):
        kernel_distance(golden["x"][:1], golden["y"])


def test_frechet_distance_of_singular_covariances_equals_pytorch_fid() -> None:
    from pytorch_fid.fid_score import calculate_frechet_distance

    rng = np.random.default_rng(0)
    a, b = gaussian(rng.normal(size=(400, 12))), gaussian(rng.normal(1, 2, size=(300, 12)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the reference calls scipy's sqrtm the old way
        expected = calculate_frechet_distance(a.mean, a.covariance, b.mean, b.covariance)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    few = gaussian(rng.normal(size=(5, 12)))  # rank 4
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(few, a) == pytest.approx(frechet_distance(a, few), rel=1e-8)


def test_frechet_distance_of_nan_is_nan() -> None:
    good = gaussian(np.eye(3))
    bad = Gaussian(np.full(3, np.nan), np.eye(3), 3)
    assert math.isnan(frechet_distance(good, bad))


# Streaming statistics


def test_accumulator_equals_numpy_in_any_split(golden) -> None:
    x = golden["x"] + 1e6  # a large mean cancels digits in naive sums
    parts = [GaussianAccumulator(16) for _ in range(3)]
    for part, chunk in zip(parts, np.split(x, [1, 140]), strict=True):
        for batch in np.array_split(chunk, 4):
            part.update(torch.from_numpy(batch))
    parts[2].merge(parts[0])
    parts[2].merge(parts[1])
    parts[2].merge(GaussianAccumulator(16))
    found = parts[2].result()
    assert found.n == 300
    np.testing.assert_allclose(found.mean, x.mean(0), rtol=1e-14)
    np.testing.assert_allclose(found.covariance, np.cov(x.T), atol=1e-8)


def test_accumulator_refuses_what_would_spoil_it() -> None:
    accumulator = GaussianAccumulator(2)
    with pytest.raises(ValueError, match="NaN or infinity"):
        accumulator.update([[1.0, math.nan]])
    with pytest.raises(ValueError, match=r"shape \[N, 2\], found \[1, 3\]"):
        accumulator.update([[1.0, 2.0, 3.0]])
    with pytest.raises(ValueError, match="no vectors"):
        accumulator.result()


# Domain statistics and the distances of one image


def test_domain_components_are_exact(domain) -> None:
    torch.manual_seed(0)
    grids = F.adaptive_avg_pool2d(Pixels()(torch.rand(3, 4, 3, 32, 32).flatten(0, 1), ["same"])["same"], 16)
    projected = domain.basis.project(grids)
    found = gaussian(projected.permute(0, 2, 3, 1).reshape(-1, 3).numpy())
    np.testing.assert_allclose(domain.locations.mean, found.mean, atol=1e-6)
    np.testing.assert_allclose(domain.locations.covariance, found.covariance, atol=1e-5)
    assert domain.locations.n == 12 * 256 and domain.images.n == 12
    images = gaussian(projected.mean((2, 3)).numpy())
    np.testing.assert_allclose(domain.images.covariance, images.covariance, atol=1e-5)
    assert np.trace(domain.locations.covariance) == pytest.approx(3, rel=1e-4)  # of order one: float16 can hold it
    assert 0.7 < domain.explained <= 1


def test_lane_features_feed_every_rule(domain) -> None:
    images = torch.rand(2, 3, 32, 32)
    features = lane_features(images, Pixels(), "same", domain.basis)
    assert features.shape == (2, 3, 16, 16)
    stored = features[0].half().numpy()
    near, far = (spatial_fd(f, domain.locations) for f in (stored, stored + 5))
    assert 0 <= near < 1 < far
    assert sifid(stored, stored) == pytest.approx(0, abs=1e-6)
    assert sifid(stored, features[1]) > 0
    pooled = pooled_vector(stored)
    np.testing.assert_allclose(pooled, stored.astype(float).mean((1, 2)))
    expected = np.square(pooled - domain.images.mean).sum() + np.trace(domain.images.covariance)
    assert paper_fd(pooled, domain.images) == pytest.approx(expected)


def test_features_that_are_not_finite_give_nan(domain) -> None:
    broken = np.full((3, 16, 16), np.nan, np.float16)
    assert math.isnan(spatial_fd(broken, domain.locations))
    assert math.isnan(sifid(broken, np.zeros((3, 16, 16))))
    assert math.isnan(paper_fd(pooled_vector(broken), domain.images))


def test_set_fid_leaves_failed_lanes_out(domain) -> None:
    pooled = np.random.default_rng(0).normal(size=(6, 3))
    with_failure = np.vstack([pooled, np.full((1, 3), np.nan)])
    assert set_fid(with_failure, domain.images) == set_fid(pooled, domain.images)
    assert math.isnan(set_fid(with_failure[6:], domain.images))
    assert set_fid(pooled[:1], domain.images) == pytest.approx(paper_fd(pooled[0], domain.images))


def test_a_layer_with_too_few_locations_is_named(domain) -> None:
    with pytest.raises(ValueError, match=r"selection\.layer small of pixels has 4x4 locations"):
        lane_features(torch.rand(1, 3, 32, 32), Pixels(), "small", domain.basis)


def test_a_layer_of_one_location_serves_the_paper_rule_alone() -> None:
    torch.manual_seed(0)
    statistics = build_statistics(torch.rand(8, 2, 3, 32, 32), Pixels(), "pooled", components=4)
    images = torch.rand(1, 3, 32, 32)
    features = lane_features(images, Pixels(), "pooled", statistics.basis)[0].half()
    vector = statistics.basis.project(Pixels()(images, ["pooled"])["pooled"])[0, :, 0, 0]
    np.testing.assert_allclose(pooled_vector(features), vector.numpy(), atol=2e-3)
    assert paper_fd(pooled_vector(features), statistics.images) > 0
    assert math.isnan(spatial_fd(features, statistics.locations))
    assert math.isnan(sifid(features, features + 1))


def test_domain_file_round_trip_and_errors(domain, tmp_path: Path) -> None:
    path = tmp_path / "new" / "domain.npz"
    domain.save(path)
    found = load_statistics(path)
    assert (found.network, found.layer, found.made_from, found.components) == ("pixels", "same", "noise", 3)
    np.testing.assert_array_equal(found.basis.matrix, domain.basis.matrix)
    np.testing.assert_array_equal(found.locations.covariance, domain.locations.covariance)
    assert (found.images.n, found.locations.n) == (12, 12 * 256)
    assert [entry.name for entry in path.parent.iterdir()] == ["domain.npz"]
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StatisticsError, match="not a domain statistics file"):
        load_statistics(path)
    with pytest.raises(StatisticsError, match="do not exist"):
        load_statistics(tmp_path / "absent.npz")
    with pytest.raises(StatisticsError, match="at least two images, found 1"):
        build_statistics([torch.rand(1, 3, 32, 32)], Pixels(), "same")


def test_cache_builds_once_and_heals(domain, tmp_path: Path) -> None:
    path = cache_path(tmp_path, "abc", "pixels", "same", 12)
    assert path != cache_path(tmp_path, "abd", "pixels", "same", 12)
    assert path != cache_path(tmp_path, "abc", "pixels", "same", 13)
    calls = []

    def build() -> DomainStatistics:
        calls.append(1)
        return domain

    for _ in range(2):
        assert cached_statistics(path, build).made_from == "noise"
    assert len(calls) == 1
    path.write_bytes(b"damaged")
    cached_statistics(path, build)
    assert len(calls) == 2 and load_statistics(path).components == 3


# Selection


def row(hypothesis: str, error: float | None, distance: float | None, rule: str = "spatial-fd") -> dict:
    return {"hypothesis": hypothesis, "error": error, rule: distance}


def test_smallest_distance_wins() -> None:
    choice = scoring.select([row("L04N10", 1, 3), row("L05N10", 1, 2), row("L06N10", 1, 4)], "spatial-fd", 1.5)
    assert choice == scoring.Choice("L05N10", "spatial-fd", 2.0)


def test_unfaithful_hypotheses_cannot_win() -> None:
    rows = [row("L04N10", 1.0, 3), row("L05N10", 1.51, 1), row("L06N10", 1.5, 2)]
    choice = scoring.select(rows, "spatial-fd", 1.5)
    assert (choice.hypothesis, choice.guarded) == ("L06N10", ("L05N10",))
    assert scoring.select(rows, "spatial-fd", math.inf).hypothesis == "L05N10"


def test_an_error_of_zero_does_not_break_the_guard() -> None:
    rows = [row("L04N10", 0.0, 3), row("L05N10", 0.0, 1), row("L06N10", 0.1, 0)]
    assert scoring.select(rows, "spatial-fd", 1.5).guarded == ("L06N10",)
    assert scoring.select(rows, "spatial-fd", math.inf).hypothesis == "L06N10"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, None])
def test_what_is_not_a_number_never_wins_nor_sets_the_bound(bad: float | None) -> None:
    rows = [row("L04N10", bad, 0), row("L05N10", 1e-9, bad), row("L06N10", 2, 5), row("L07N10", 3, 6)]
    choice = scoring.select(rows, "spatial-fd", 1.5)
    assert (choice.hypothesis, choice.invalid, choice.guarded) == ("L06N10", ("L04N10", "L05N10"), ())


def test_ties_and_order_do_not_matter() -> None:
    rows = [row("L06N10", 1.0, 2), row("L04N20", 1.1, 2), row("L04N10", 1.0, 2)]
    winners = {scoring.select(list(order), "spatial-fd", 2).hypothesis for order in itertools.permutations(rows)}
    assert winners == {"L04N10"}


def test_no_valid_hypothesis_is_a_clear_error() -> None:
    with pytest.raises(scoring.SelectionError, match="in all 2, sifid or the error is missing or not finite"):
        scoring.select([row("L04N10", 1, math.nan, "sifid"), row("L05N10", 1, None, "sifid")], "sifid", 1.5)
    with pytest.raises(scoring.SelectionError, match="there are none"):
        scoring.select([], "paper", 1.5)
    with pytest.raises(
        scoring.SelectionError, match=r"unknown selection rule 'fid' \(did you mean sifid\?\); use one of spatial-fd"
    ):
        scoring.select([row("L04N10", 1, 1)], "fid", 1.5)


def test_set_rule_has_one_favourite_and_survives_a_failed_lane() -> None:
    tables = [
        [row("L04N10", 1, 9), row("L05N10", 1, 1)],
        [row("L04N10", math.nan, 9), row("L05N10", 1, 1)],
        [row("L04N10", 1, 9), row("L05N10", 1, 1)],
    ]
    choices = scoring.select_set(tables, {"L04N10": 0.5, "L05N10": 0.7}, 1.5)
    assert [choice.hypothesis for choice in choices] == ["L04N10", "L05N10", "L04N10"]
    assert {choice.rule for choice in choices} == {"set-fid"}
