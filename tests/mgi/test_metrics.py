"""Every metric against its reference package, or against its formula as a plain loop."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from metric_views import LAYER, domain, narrow_vgg, networks, noisier, pictures
from torch import Tensor

from mgi.config import Inversion
from mgi.features.lpips import LPIPS as LpipsNetwork
from mgi.features.lpips import named, read_heads
from mgi.inversion.objective import Objective
from mgi.metrics.base import SetViews, Views
from mgi.metrics.gaussian import Gaussian
from mgi.metrics.l2 import L2, squared_error
from mgi.metrics.lpips import LPIPS, lpips_distance
from mgi.metrics.paper import PAPER
from mgi.metrics.psnr import PSNR, psnr_db
from mgi.metrics.relative_frechet import RELATIVE_FRECHET, relative_frechet, statistics
from mgi.metrics.set_fid import SET_FID
from mgi.metrics.sifid import SIFID
from mgi.metrics.spatial_fd import SPATIAL_FD
from mgi.metrics.ssim import SSIM, structural_similarity
from mgi.metrics.structure import LITE0, STRUCTURE, STRUCTURE_LITE0, VGG16, difference
from mgi.metrics.style import LAYERS, STYLE, style_distance
from mgi.metrics.vgg import VGG, vgg_distance


@pytest.fixture(scope="module")
def pair() -> tuple[Tensor, Tensor]:
    """A result and what it is compared with, [1, 3, 256, 256]."""
    x, y = pictures(2)
    return x[None], y[None]


def frechet(a: Gaussian, b: Gaussian) -> float:
    """pytorch-fid's."""
    from pytorch_fid.fid_score import calculate_frechet_distance

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it calls scipy's sqrtm the old way
        return float(calculate_frechet_distance(a.mean, a.covariance, b.mean, b.covariance))


def numpy_gaussian(vectors: Tensor) -> Gaussian:
    """Of vectors [N, D]."""
    rows = vectors.double().numpy()
    return Gaussian(rows.mean(0), np.cov(rows, rowvar=False), len(rows))


def grid(image: Tensor) -> Tensor:
    """The domain's features of an image over 16 x 16 cells, [256, K], without the product's own code."""
    cells = F.avg_pool2d(narrow_vgg()(image, [LAYER])[LAYER], 8)
    assert cells.shape[-1] == 16
    centred = cells[0].flatten(1).T - torch.from_numpy(domain().basis.origin)
    return centred @ torch.from_numpy(domain().basis.matrix).T


# Pixels


def test_l2_equals_torchmetrics(pair) -> None:
    from torchmetrics.functional.regression import mean_squared_error

    x, y = pair
    found = L2(Views(x, warp=y), networks)
    assert found == squared_error(x, y) == pytest.approx(float(mean_squared_error(x, y)), rel=1e-6)
    assert found == pytest.approx(np.square(x.double().numpy() - y.double().numpy()).mean(), rel=1e-6)


def test_psnr_equals_its_formula_on_8_bit_values(pair) -> None:
    x, y = (((image + 1) * 127.5).round() for image in pair)
    found = PSNR(Views(x / 127.5 - 1, source=y / 127.5 - 1), networks)
    expected = 20 * math.log10(255 / math.sqrt(np.square(x.double().numpy() - y.double().numpy()).mean()))
    assert found == pytest.approx(expected, rel=1e-5)
    assert psnr_db(pair[0], pair[0]) == math.inf
    assert psnr_db(x / 127.5 + 9, pair[1]) == psnr_db(torch.ones_like(x), pair[1])  # clipped


def test_psnr_equals_torchmetrics(pair) -> None:
    from torchmetrics.functional.image import peak_signal_noise_ratio

    expected = float(peak_signal_noise_ratio(*pair, data_range=2.0))
    assert PSNR(Views(pair[0], source=pair[1]), networks) == pytest.approx(expected, rel=1e-6)


def test_ssim_equals_its_formula() -> None:
    """Wang et al. equation 13 on pixels in [0, 1], window by window in float64, borders reflected."""
    x, y = pictures(2, 24)
    taps = np.exp(-np.square(np.arange(-5, 6)) / (2 * 1.5**2))
    window = np.outer(taps, taps) / taps.sum() ** 2
    first, second = (
        np.pad(((image + 1) / 2).double().numpy(), ((0, 0), (5, 5), (5, 5)), mode="reflect") for image in (x, y)
    )
    values = []
    for channel, row, column in np.ndindex(3, 24, 24):
        p, q = (image[channel, row : row + 11, column : column + 11] for image in (first, second))
        mean_p, mean_q = (window * p).sum(), (window * q).sum()
        variances = (window * (p - mean_p) ** 2).sum() + (window * (q - mean_q) ** 2).sum()
        covariance = (window * (p - mean_p) * (q - mean_q)).sum()
        luminance = (2 * mean_p * mean_q + 0.01**2) / (mean_p**2 + mean_q**2 + 0.01**2)
        values.append(luminance * (2 * covariance + 0.03**2) / (variances + 0.03**2))
    assert structural_similarity(x[None], y[None]) == pytest.approx(np.mean(values), abs=1e-5)


def test_ssim_is_that_of_torchmetrics(pair) -> None:
    from torchmetrics.functional.image import structural_similarity_index_measure

    x, y = ((image + 1) / 2 for image in pair)
    expected = float(structural_similarity_index_measure(x, y, data_range=1.0))
    assert SSIM(Views(pair[0], source=pair[1]), networks) == pytest.approx(expected, abs=1e-6)


# Features


def test_lpips_equals_the_package(pair) -> None:
    """With random convolutions, the same on both sides, and the package's own channel weights."""
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore", UserWarning)  # the package passes torchvision's old arguments
        import lpips

        torch.manual_seed(0)
        public = lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False).eval()
    # slice1.0.weight, ... -> features.0.weight, ...
    state = {f"features.{name.partition('.')[2]}": tensor for name, tensor in public.net.state_dict().items()}
    ours = LpipsNetwork(named(state), read_heads(), "fp32")
    x, y = (F.avg_pool2d(image, 4) for image in pair)
    with torch.no_grad():
        expected = float(public(x, y))
    assert expected > 0
    assert lpips_distance(x, y, ours) == pytest.approx(expected, rel=1e-4)
    assert LPIPS(Views(x, warp=y), lambda name: ours) > 0


@pytest.mark.parametrize("rows", [256, 128, 64, 32, 16])
def test_vgg_is_what_the_objective_measured_before_there_were_metrics(pair, rows: int) -> None:
    """`perceptual_size = 128` was the profiles'; numbers of stored runs are of it."""
    x, y = (F.avg_pool2d(image, 256 // rows) for image in pair)
    settings = Inversion(
        perceptual_norm="relative", perceptual_layers=("relu1_2", "relu2_2", "relu3_3"), perceptual_size=128
    )
    expected = float(Objective(y, settings, narrow_vgg()).perceptual(x)[0])
    assert vgg_distance(x, y, narrow_vgg()) == pytest.approx(expected, rel=1e-6)
    if rows >= 128:
        assert VGG(Views(x, warp=y), networks) == pytest.approx(expected, rel=1e-6)


def test_vgg_of_nothing_seen_is_one(pair) -> None:
    """1 is "as far from y as zero is", by the formula without the losses' code."""
    x, y = (narrow_vgg()(F.avg_pool2d(image, 2), ("relu1_2", "relu2_2", "relu3_3")) for image in pair)
    shares = [float((x[name] - y[name]).abs().mean() / y[name].abs().mean()) for name in y]
    assert VGG(Views(pair[0], warp=pair[1]), networks) == pytest.approx(np.mean(shares), rel=1e-5)


def test_style_equals_gram_matrices_by_hand(pair) -> None:
    x, y = (narrow_vgg()(image, LAYERS) for image in pair)
    distances = []
    for layer in LAYERS:
        (a, b), count = (features[layer][0].flatten(1).double().numpy() for features in (x, y)), x[layer][0, 0].numel()
        gram_a, gram_b = (np.einsum("cu,du->cd", f, f) / count for f in (a, b))
        distances.append(np.square(gram_a - gram_b).sum() / np.square(gram_b).sum())
    assert STYLE(Views(pair[0], exemplar=pair[1]), networks) == pytest.approx(np.mean(distances), rel=1e-3)
    assert style_distance(pair[1], pair[1], narrow_vgg()) == 0
    flipped = pair[1].flip(-1)  # a style has no places
    assert style_distance(flipped, pair[1], narrow_vgg()) < 0.1 * np.mean(distances)


def test_structure_equals_a_plain_loop(pair) -> None:
    x, y = (narrow_vgg()(image, ["relu4_3"])["relu4_3"][0].double().numpy() for image in pair)
    cosines = []
    for row, column in np.ndindex(*x.shape[1:]):
        a = x[:, row, column] - x.mean((1, 2))
        b = y[:, row, column] - y.mean((1, 2))
        cosines.append(a @ b / math.sqrt((a @ a) * (b @ b)))
    views = Views(pair[0], source=pair[1])
    assert STRUCTURE(views, networks) == pytest.approx(1 - np.mean(cosines), rel=1e-4)
    assert STRUCTURE_LITE0(views, networks) == STRUCTURE(views, networks)  # the same network under another name here
    assert (STRUCTURE.weights, STRUCTURE_LITE0.weights) == ((VGG16,), (LITE0,))
    assert difference(torch.from_numpy(x)[None], torch.from_numpy(-x)[None]) == pytest.approx(2)


def test_structure_does_not_leave_its_range_by_rounding() -> None:
    random = torch.Generator().manual_seed(0)
    for features in torch.randn(20, 1, 512, 7, 7, generator=random):
        assert 0 <= difference(features, features) < 1e-6 and 2 - 1e-6 < difference(features, -features) <= 2
    assert math.isnan(difference(features, features * math.nan))


# Distributions


def test_spatial_fd_and_sifid_equal_pytorch_fid_on_locations(pair) -> None:
    x, y = pair
    views = Views(x, warp=y, domain=domain())
    of_x, of_y = (numpy_gaussian(grid(image)) for image in pair)
    assert SPATIAL_FD(views, networks) == pytest.approx(frechet(of_x, domain().locations), rel=1e-4)
    assert SIFID(views, networks) == pytest.approx(frechet(of_x, of_y), rel=1e-4)


def test_paper_equals_pytorch_fid_of_one_vector(pair) -> None:
    mean, images = grid(pair[0]).double().numpy().mean(0), domain().images
    point = Gaussian(mean, 1e-14 * np.eye(len(mean)), 1)  # scipy takes no root of zero
    assert PAPER(Views(pair[0], domain=domain()), networks) == pytest.approx(frechet(point, images), rel=1e-4)


def test_set_fid_equals_pytorch_fid() -> None:
    results = [noisier(image[None], 0.3) for image in pictures(8)]
    pooled = torch.stack([grid(image).mean(0) for image in results])
    expected = frechet(numpy_gaussian(pooled), domain().images)
    assert SET_FID(SetViews(results, domain=domain()), networks) == pytest.approx(expected, rel=1e-4)


def test_relative_frechet_equals_pytorch_fid_over_the_variance() -> None:
    images = pictures(48, 64)
    results, held_out = images[:24], noisier(images[24:], 0.5)

    def vectors(batch: Tensor) -> Tensor:
        large = F.interpolate(batch, size=(256, 256), mode="bilinear")
        return narrow_vgg()(large, ["relu4_3"])["relu4_3"].mean((2, 3))

    a, b = numpy_gaussian(vectors(results)), numpy_gaussian(vectors(held_out))
    expected = frechet(a, b) / np.trace(b.covariance)
    views = SetViews(results.split(1), reference=held_out.split(1))
    assert RELATIVE_FRECHET(views, networks) == pytest.approx(expected, rel=1e-3)
    same = statistics(held_out.split(5), narrow_vgg())
    assert relative_frechet(same, same) == pytest.approx(0, abs=1e-6)
    only_the_mean = Gaussian(same.mean, np.zeros_like(same.covariance), same.n)
    assert relative_frechet(only_the_mean, same) == pytest.approx(1)


def test_held_out_images_without_variance_are_refused() -> None:
    one = statistics([pictures(1, 64)], narrow_vgg())
    with pytest.raises(ValueError, match="expected held-out images that differ, found 1 with no variance"):
        relative_frechet(one, one)
