"""Matching and warping: the fast path against the plain one, both against the golden vectors."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.config import Warp
from mgi.correspondence import correlation, hierarchical_features, normalise, soft_warp, soft_warp_reference
from mgi.correspondence.matching import blend_cells, overlapping_cells, warp_exemplar

GOLDEN = Path(__file__).parents[1] / "golden"


class Pixels:
    """A feature network whose features are the pixels themselves, at three depths."""

    name = "pixels"
    layers = ("one", "two", "three")

    def channels(self, layer: str) -> int:
        return 3

    def __call__(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        return {layer: F.avg_pool2d(images, 2 ** self.layers.index(layer)) for layer in layers}


@pytest.fixture
def golden() -> dict[str, Tensor]:
    with np.load(GOLDEN / "correspondence.npz") as file:
        return {key: torch.from_numpy(file[key]) for key in file}


def test_correlation_equals_golden(golden: dict[str, Tensor]) -> None:
    found = correlation(golden["source_features"][None], golden["target_features"][None])
    torch.testing.assert_close(found[0], golden["correlation"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("alpha", [10, 100])
@pytest.mark.parametrize("warp", [soft_warp, soft_warp_reference])
def test_warp_equals_golden(golden: dict[str, Tensor], warp, alpha: int) -> None:
    source, target = (normalise(golden[f"{side}_features"][None]) for side in ("source", "target"))
    found = warp(source, target, golden["target_image"][None], float(alpha))
    torch.testing.assert_close(found[0], golden[f"warp_alpha{alpha}"], rtol=0, atol=1e-11)


@pytest.mark.parametrize("centre", ["positions", "channels"])
@pytest.mark.parametrize("target_size", [(8, 8), (5, 11)])
@pytest.mark.parametrize("patch", [1, 3])
def test_fast_warp_equals_the_reference(centre, target_size: tuple[int, int], patch: int) -> None:
    source = normalise(torch.randn(3, 13, 40, 40), centre)  # more positions than one chunk holds
    target, colours = normalise(torch.randn(3, 13, *target_size), centre), torch.randn(3, 5, *target_size)
    fast, plain = (warp(source, target, colours, 20.0, patch) for warp in (soft_warp, soft_warp_reference))
    assert fast.shape == (3, 5, 40, 40)
    torch.testing.assert_close(fast, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("patch", [1, 3])
def test_fast_warp_has_the_reference_gradients(patch: int) -> None:
    source, target = torch.randn(1, 6, 4, 4, requires_grad=True), torch.randn(1, 6, 4, 4, requires_grad=True)
    colours = torch.randn(1, 3, 4, 4)
    gradients = [
        torch.autograd.grad(
            warp(normalise(source), normalise(target), colours, 10.0, patch).square().sum(), (source, target)
        )
        for warp in (soft_warp, soft_warp_reference)
    ]
    for fast, plain in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-5)


def test_a_pair_does_not_depend_on_its_batch() -> None:
    source, target, colours = (torch.randn(4, c, 8, 8) for c in (6, 6, 3))
    together = soft_warp(normalise(source), normalise(target), colours, 100.0)
    alone = soft_warp(normalise(source[2:3]), normalise(target[2:3]), colours[2:3], 100.0)
    torch.testing.assert_close(together[2:3], alone, rtol=1e-5, atol=1e-6)


def test_hierarchical_features_are_unit_and_weigh_layers_equally() -> None:
    shallow, deep = torch.randn(2, 4, 32, 32), 1e4 * torch.randn(2, 9, 8, 8)
    features = hierarchical_features([shallow, deep], 16)
    assert features.shape == (2, 13, 16, 16)
    torch.testing.assert_close(features.square().sum(1), torch.ones(2, 16, 16))
    torch.testing.assert_close(features[:, :4].square().sum(1), torch.full((2, 16, 16), 0.5))


def test_constant_features_stay_finite() -> None:
    features = hierarchical_features([torch.ones(1, 4, 8, 8)], 8)
    assert torch.equal(features, torch.zeros_like(features))
    warped = soft_warp(features, features, torch.rand(1, 3, 8, 8), 100.0)
    assert torch.isfinite(warped).all()


def test_patches_average_the_correlation_over_shared_offsets() -> None:
    source, target = normalise(torch.randn(1, 5, 6, 6)), normalise(torch.randn(1, 5, 6, 6))
    matrix = torch.einsum("bcij,bckl->ijkl", source, target)
    inner = [matrix[1 + i : 5 + i, 1 + j : 5 + j, 1 + i : 5 + i, 1 + j : 5 + j] for i in (-1, 0, 1) for j in (-1, 0, 1)]
    expected = torch.stack(inner).mean(0)
    # With colours one-hot per position, the warp is the softmax itself and its logarithm the matrix, up to a constant.
    one_hot = torch.eye(36).view(1, 36, 6, 6)
    found = (
        soft_warp(source, target, one_hot, 1.0, patch=3).log().view(6, 6, 6, 6).permute(2, 3, 0, 1)[1:5, 1:5, 1:5, 1:5]
    )
    constant = found - expected
    torch.testing.assert_close(constant, constant[:, :, :1, :1].expand_as(constant), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("image_size, size", [(32, 8), (24, 8), (16, 8), (8, 8)])
def test_cells_come_back_as_the_picture(image_size: int, size: int) -> None:
    images = torch.randn(2, 3, image_size, image_size)
    torch.testing.assert_close(blend_cells(overlapping_cells(images, size), image_size), images)


@pytest.mark.parametrize("colours", ["full", "pooled"])
@pytest.mark.parametrize("patch", [1, 3])
def test_a_picture_warped_to_itself_is_itself(colours: str, patch: int) -> None:
    images = F.interpolate(torch.rand(2, 3, 8, 8) * 2 - 1, size=32, mode="bicubic")
    config = Warp(layers=("one", "two"), feature_size=16, image_size=32, temperature=1e4, colours=colours, patch=patch)
    warped = warp_exemplar(images, images, Pixels(), config)
    assert warped.shape == images.shape
    assert (warped - images).abs().mean() < (0.02 if colours == "full" else 0.1)


def test_warp_exemplar_names_what_does_not_fit() -> None:
    images = torch.zeros(1, 3, 32, 32)
    with pytest.raises(ValueError, match=r"exemplar must be 32x32 \(warp.image_size\), found 32x16"):
        warp_exemplar(images, images[..., :16], Pixels(), Warp(layers=("one",), feature_size=8, image_size=32))
    with pytest.raises(ValueError, match="found 12 and 32; change one of them or use colours = pooled"):
        config = Warp(layers=("one",), feature_size=12, image_size=32, colours="full")
        warp_exemplar(images, images, Pixels(), config)
