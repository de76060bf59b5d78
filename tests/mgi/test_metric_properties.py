"""What all metrics promise: direction, range, size, needs, and a digest of what their numbers depend on."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from metric_views import domain, networks, noisier, pictures, whole_views
from torch import Tensor

from mgi.metrics.base import Metric, PairMetric, SetMetric, SetViews, Views, fit
from mgi.metrics.registry import OURS, metric

METRICS = {name: metric(name) for name in OURS}
PAIRS = [found for found in METRICS.values() if isinstance(found, PairMetric)]
SETS = [found for found in METRICS.values() if isinstance(found, SetMetric)]
OF_DOMAIN = ("spatial-fd", "paper")
"""The best result there is a picture of the domain, not one that equals another picture."""
OF_DETAIL = tuple(name for name in OURS if name.startswith("detail"))
"""Measured at a picture's own size; noise is detail, too (`tests/mgi/test_detail.py`)."""

of_pairs = pytest.mark.parametrize("found", PAIRS, ids=lambda found: found.name)
of_sized = pytest.mark.parametrize("found", [f for f in PAIRS if f.rows], ids=lambda found: found.name)
of_all = pytest.mark.parametrize("found", METRICS.values(), ids=lambda found: found.name)


@pytest.fixture(scope="module")
def pair() -> tuple[Tensor, Tensor]:
    x, y = pictures(2)
    return x[None], y[None]


def worse(found: Metric, a: float, b: float) -> bool:
    """Whether a is worse than b."""
    return a < b if found.higher_is_better else a > b


@pytest.mark.parametrize(
    "found", [f for f in PAIRS if f.name not in OF_DOMAIN + OF_DETAIL], ids=lambda found: found.name
)
def test_the_same_picture_is_the_best_there_is(found: PairMetric, pair) -> None:
    number = found(whole_views(pair[1], pair[1]), networks)
    low, high = found.range
    assert low <= number <= high
    assert number == pytest.approx(high if found.higher_is_better else low, abs=1e-5)


@of_pairs
def test_noise_and_blur_make_it_worse(found: PairMetric, pair) -> None:
    target = noisier(pair[1], 0.1)  # so that a blur takes something away
    little, much = (found(whole_views(noisier(target, amount), target), networks) for amount in (0.02, 0.4))
    if found.name not in OF_DETAIL:
        assert worse(found, much, little)
    blurs = [F.interpolate(F.avg_pool2d(target, cell), size=256, mode="bilinear") for cell in (2, 16)]
    slight, strong = (found(whole_views(blurred, target), networks) for blurred in blurs)
    if found.name not in OF_DOMAIN:  # its pictures are smooth themselves
        assert worse(found, strong, slight)


@of_pairs
def test_numbers_lie_in_the_range(found: PairMetric, pair) -> None:
    low, high = found.range
    black, white = -torch.ones(1, 3, 64, 64), torch.ones(1, 3, 64, 64)
    noise = noisier(torch.zeros(1, 3, 64, 64), 1)
    for result, target in ((pair[0], pair[1]), (noise, pair[0]), (noise, -noise), (black, noise), (black, white)):
        number = found(whole_views(result, target), networks)
        assert low <= number <= high


@of_sized
def test_the_size_of_the_picture_does_not_matter(found: PairMetric, pair) -> None:
    """The same picture with every pixel as a square of sixteen has the same number."""
    target, result = pair[1], noisier(pair[1], 0.3)
    expected = found(whole_views(result, target), networks)
    large = result.repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert found(whole_views(large, target), networks) == pytest.approx(expected, rel=1e-4)
    small = F.avg_pool2d(result, 4)
    enlarged = F.interpolate(small, size=(found.rows, found.rows), mode="bilinear", align_corners=False)
    of_small, of_enlarged = (found(whole_views(image, target), networks) for image in (small, enlarged))
    assert of_small == pytest.approx(of_enlarged, rel=1e-4)


@of_sized
def test_views_come_at_the_rows_of_the_metric(found: PairMetric) -> None:
    seen: list[Views] = []

    def look(views: Views, _: object) -> float:
        seen.append(views)
        return 1.0

    images = [torch.zeros(1, 3, rows, rows) for rows in (1024, 64, 256, 200)]
    assert dataclasses.replace(found, measure=look)(Views(*images, domain()), networks) == 1.0
    fitted = (seen[0].result, seen[0].source, seen[0].exemplar, seen[0].warp)
    assert all(image is not None and image.shape == (1, 3, found.rows, found.rows) for image in fitted)
    assert seen[0].domain is domain()


def test_fit_takes_exact_means_where_rows_divide() -> None:
    images = torch.arange(3 * 8 * 8.0).reshape(1, 3, 8, 8)
    torch.testing.assert_close(fit(images, 4), images.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5)), rtol=0, atol=0)
    assert fit(images, 8) is images
    checks = (torch.arange(12)[:, None] + torch.arange(12)) % 2 * 2.0 - 1
    shrunk = fit(checks.expand(1, 3, 12, 12), 5)
    assert shrunk.shape == (1, 3, 5, 5) and shrunk.abs().max() < 0.3  # antialiased
    assert fit(images, 16).shape == (1, 3, 16, 16)
    assert Views(images).fitted(4).source is None


@of_pairs
def test_what_is_missing_is_named(found: PairMetric, pair) -> None:
    whole = whole_views(*pair)
    for need in found.needs:
        with pytest.raises(ValueError, match=f"^metric {found.name} needs .*{need}.*, which this pair does not have$"):
            found(dataclasses.replace(whole, **{need: None}), networks)
    unneeded = {"source", "exemplar", "warp", "domain", "detail"} - set(found.needs)
    assert math.isfinite(found(dataclasses.replace(whole, **dict.fromkeys(unneeded)), networks))


@pytest.mark.parametrize("found", [f for f in SETS if f.needs], ids=lambda found: found.name)
def test_what_a_set_lacks_is_named(found: SetMetric, pair) -> None:
    with pytest.raises(ValueError, match=f"^metric {found.name} needs {found.needs[0]}, which this set does not have$"):
        found(SetViews(pair), networks)


@of_pairs
def test_a_picture_of_nan_has_no_number(found: PairMetric, pair) -> None:
    broken = pair[0].clone()
    broken[..., 100:140, 100:140] = math.nan
    assert math.isnan(found(whole_views(broken, pair[1]), networks))


def test_sets_with_a_picture_of_nan(pair) -> None:
    results = [image[None] for image in pictures(4)]
    broken = [*results, torch.full_like(results[0], math.nan)]
    set_fid, relative = METRICS["set-fid"], METRICS["relative-frechet"]
    assert isinstance(set_fid, SetMetric) and isinstance(relative, SetMetric)
    of_good = set_fid(SetViews(results, domain=domain()), networks)
    assert set_fid(SetViews(broken, domain=domain()), networks) == of_good
    assert math.isnan(set_fid(SetViews([], domain=domain()), networks))
    with pytest.raises(ValueError, match="NaN or infinity"):
        relative(SetViews(broken, reference=results), networks)
    with pytest.raises(ValueError, match="source of images is empty"):
        relative(SetViews([], reference=results), networks)


def test_a_set_metric_reads_its_images_once() -> None:
    results = (image[None] for image in pictures(4))
    of_iterator = METRICS["set-fid"](SetViews(results, domain=domain()), networks)
    assert of_iterator == METRICS["set-fid"](SetViews(pictures(4).split(1), domain=domain()), networks)


@of_all
def test_digest_is_of_what_the_numbers_depend_on(found: Metric) -> None:
    hashes = dict.fromkeys(found.weights, "a" * 64)
    digest = found.digest(hashes)
    assert len(digest) == 12 and int(digest, 16) >= 0
    for change in ({"version": found.version + 1}, {"rows": 2 * found.rows + 2}, {"name": "other"}):
        assert dataclasses.replace(found, **change).digest(hashes) != digest
    for name in found.weights:
        assert found.digest(hashes | {name: "b" * 64}) != digest
    words = {"summary": "other", "reference": "other", "unit": "m", "standard": not found.standard, "tasks": ()}
    assert dataclasses.replace(found, **words).digest(hashes | {"other": "c" * 64}) == digest
    assert len({other.digest({}) for other in METRICS.values()}) == len(METRICS)


@of_all
def test_what_a_metric_says_of_itself(found: Metric) -> None:
    assert found.arrow == ("↑" if found.higher_is_better else "↓")
    assert (found.needs or found.name == "inception-score") and found.range[0] < found.range[1]
    assert "\n" not in found.summary and len(found.summary) < 100
    assert not (found.standard and isinstance(found, SetMetric))


def test_a_metric_without_a_measure_has_no_number() -> None:
    views = Views(torch.zeros(1, 3, 8, 8))
    assert math.isnan(PairMetric("x", "y")(views, networks))
    assert math.isnan(SetMetric("x", "y")(SetViews([]), networks))
