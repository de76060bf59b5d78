"""MobileStyleGAN on the real weights: equal to the public export, fast path equal to the plain one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mgi import weights
from mgi.generators import GeneratorError, fused
from mgi.generators.mobile_stylegan import MobileStyleGAN, inverse_haar

GOLDEN = Path(__file__).parents[1] / "golden" / "mobile_stylegan_ffhq.npz"

pytestmark = pytest.mark.slow  # real weights


@pytest.fixture(scope="module")
def generator() -> Iterator[MobileStyleGAN]:
    yield weights.load_generator("mobile-stylegan-ffhq")


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    with np.load(GOLDEN) as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def test_sizes_are_read_from_the_tensors(generator: MobileStyleGAN) -> None:
    assert (generator.z_dim, generator.resolution, generator.layers) == (512, 1024, 15)
    assert [generator.layer_size(layer) for layer in (1, 2, 4, 5, 6, 15)] == [4, 8, 16, 16, 32, 512]
    assert [generator.layer_channels(layer) for layer in (1, 5, 11, 15)] == [512, 512, 256, 64]


def test_equals_the_public_export(generator: MobileStyleGAN, golden: dict[str, Tensor]) -> None:
    with torch.no_grad():
        w = generator.to_w(golden["z"])
        images = generator.synthesize(w)
    torch.testing.assert_close(w, golden["w"], atol=1e-4, rtol=0)
    torch.testing.assert_close(F.avg_pool2d(images, 16), golden["image_mean_pooled_64"], atol=1e-4, rtol=0)
    crop = golden["image_crop_rows448_576_cols448_576"]
    torch.testing.assert_close(images[:, :, 448:576, 448:576], crop, atol=1e-4, rtol=0)


@pytest.mark.parametrize("layer", [1, 4, 5, 8, 11, 14, 15])
def test_composing_one_code_at_any_layer_changes_nothing(generator: MobileStyleGAN, layer: int) -> None:
    z = torch.randn(1, 512, generator=torch.Generator().manual_seed(layer))
    with torch.no_grad():
        w = generator.to_w(z)
        alpha = torch.ones(1, 1, generator.layer_channels(layer))
        features = generator.compose(z[:, None], alpha, layer)
        styles = w[:, None].expand(-1, generator.tail_styles(layer), -1)
        composed = generator.render(features, layer, styles, down=4)
        whole = generator.render(generator.head(w, 1), 1, w, down=4)
    assert features.shape[2:] == (generator.layer_size(layer),) * 2
    torch.testing.assert_close(composed, whole, atol=2e-5, rtol=0)


def test_down_is_the_exact_mean_of_the_full_image(generator: MobileStyleGAN, golden: dict[str, Tensor]) -> None:
    with torch.no_grad():
        w = golden["w"][:1]
        stem = generator.head(w, 1)
        full = generator.render(stem, 1, w)
        for down in (2, 4, 8):
            small = generator.render(stem, 1, w, down=down)
            torch.testing.assert_close(small, F.avg_pool2d(full, down), atol=2e-5, rtol=0)


def test_fast_path_equals_the_plain_one_in_value_and_gradient(generator: MobileStyleGAN) -> None:
    random = torch.Generator().manual_seed(1)
    w = generator.to_w(torch.randn(2, 512, generator=random))
    features = generator.head(w, 8)
    styles = w[:, None].repeat(1, generator.tail_styles(8), 1)
    found = []
    for fast in (True, False):
        generator.fast = fast
        f, s = features.clone().requires_grad_(), styles.clone().requires_grad_()
        small = generator.render(f, 8, s, down=4)
        small.square().mean().backward()
        found.append((small.detach(), f.grad, s.grad))
    generator.fast = True
    for fast_one, plain_one in zip(*found, strict=True):
        assert fast_one is not None
        assert plain_one is not None
        error = (fast_one - plain_one).abs().max() / plain_one.abs().max()
        assert error < 2e-3  # sums over 262,144 positions in float32


def test_fused_blocks_have_exact_gradients() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 8, 3, 4, dtype=torch.float64, requires_grad=True)
    style = torch.randn(2, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(fused.StyledInverseHaar.apply, (x, style))
    flat = torch.randn(2, 6, 8, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 5, 8, dtype=torch.float64, requires_grad=True)
    bias, noise = torch.randn(5, dtype=torch.float64), torch.randn(6, 1, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x, w: fused.PointwiseActivation.apply(x, w, bias, noise), (flat, weight))
    assert torch.autograd.gradcheck(lambda x, w: fused.Pointwise.apply(x, w, bias), (flat, weight))


@pytest.mark.parametrize("into_features", [True, False])
def test_a_style_goes_into_features_or_weights_alike(
    generator: MobileStyleGAN, monkeypatch: pytest.MonkeyPatch, into_features: bool
) -> None:
    monkeypatch.setattr(fused, "modulate_features", lambda *_: into_features)
    found = []
    for fast in (True, False):
        generator.fast = fast
        w = generator.to_w(torch.randn(2, 512, generator=torch.Generator().manual_seed(5))).detach().requires_grad_()
        features = generator.head(w, 6)
        features.square().mean().backward()
        assert w.grad is not None
        found.append((features.detach(), w.grad))
    generator.fast = True
    for fast_one, plain_one in zip(*found, strict=True):
        torch.testing.assert_close(fast_one, plain_one, rtol=1e-3, atol=1e-3 * float(plain_one.abs().max()))


def test_haar_steps_invert_each_other_and_the_fast_one_equals_the_plain_one() -> None:
    x = torch.randn(2, 12, 5, 7)
    up = fused.StyledInverseHaar.apply(x, torch.ones(2, 12))
    torch.testing.assert_close(up, inverse_haar(x), atol=1e-6, rtol=0)
    torch.testing.assert_close(fused.haar_analysis(up), x, atol=1e-6, rtol=0)


def test_bf16_stays_close(generator: MobileStyleGAN) -> None:
    z = torch.randn(1, 512, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        w = generator.to_w(z)
        exact = generator.render(generator.head(w, 1), 1, w, down=16)
        half = weights.load_generator("mobile-stylegan-ffhq").set_precision("bf16")
        rough = half.render(half.head(w, 1), 1, w, down=16)
    assert (exact - rough).abs().mean() < 0.02


def test_wrong_inputs_are_named(generator: MobileStyleGAN) -> None:
    with pytest.raises(ValueError, match="composing layer from 1 to 15, found 16"):
        generator.head(torch.zeros(1, 512), 16)
    with pytest.raises(ValueError, match="expected one w or 20 tail styles"):
        generator.render(torch.zeros(1, 512, 8, 8), 2, torch.zeros(1, 3, 512))
    with pytest.raises(GeneratorError, match="expected MobileStyleGAN tensors"):
        MobileStyleGAN({"mapping.0.weight": torch.zeros(2, 2), "mapping.0.bias": torch.zeros(2)})


@pytest.mark.parametrize("positions", [1, 2048, 4096, 6144, 5000])
def test_sums_in_pieces_equal_the_whole(positions: int) -> None:
    grad, x = torch.randn(2, positions, 5).double(), torch.randn(2, positions, 7).double()
    expected = fused.over_positions(grad, x, gpu=False)
    torch.testing.assert_close(fused.over_positions(grad, x, gpu=True), expected)
    torch.testing.assert_close(expected, torch.einsum("bpo,bpc->boc", grad, x))
