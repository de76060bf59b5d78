"""Losses against golden vectors and by hand; every loss gives one value per lane."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mgi import losses

GOLDEN = Path(__file__).parents[1] / "golden"


def test_contextual_equals_golden() -> None:
    golden = np.load(GOLDEN / "contextual.npz")
    x, y = torch.from_numpy(golden["x"]), torch.from_numpy(golden["y"])
    for band_width, expected in zip(golden["band_width"], golden["loss"], strict=True):
        found = losses.contextual(x, y, float(band_width), centre="batch")
        assert found.shape == (2,)
        assert found.mean().item() == pytest.approx(expected, abs=1e-5)


def test_contextual_ignores_where_things_are() -> None:
    y = torch.randn(2, 8, 5, 5)
    shuffled = y.flatten(2)[:, :, torch.randperm(25)].view_as(y)
    assert losses.contextual(shuffled, y, 0.1).max() < 1e-3 < losses.contextual(torch.randn_like(y), y, 0.1).min()
    rows = losses.contextual_similarity(shuffled, y, 0.1).sum(2)
    torch.testing.assert_close(rows, torch.ones_like(rows))


def test_pixel_distances_by_hand() -> None:
    x, y = torch.tensor([[[[0.0, 2.0]]], [[[1.0, 1.0]]]]), torch.zeros(2, 1, 1, 2)
    assert losses.l1(x, y).tolist() == [1.0, 1.0]
    assert losses.l2(x, y).tolist() == [2.0, 1.0]


def test_perceptual_norms_by_hand() -> None:
    features = {"a": torch.full((1, 2, 2, 2), 3.0), "b": torch.full((1, 2, 1, 1), 30.0)}
    target = {"a": torch.full((1, 2, 2, 2), 2.0), "b": torch.full((1, 2, 1, 1), 20.0)}
    assert losses.perceptual_mganprior(features, target).item() == pytest.approx(0.011)
    assert losses.perceptual_relative(features, target).item() == pytest.approx(0.5)
    assert losses.perceptual(features, target, "relative").item() == pytest.approx(0.5)
    assert losses.perceptual(features, target, "mganprior").item() == pytest.approx(0.011)


def test_relative_norm_ignores_the_scale_of_a_layer() -> None:
    x, y = torch.rand(2, 4, 3, 3), torch.rand(2, 4, 3, 3)
    small = losses.perceptual_relative({"a": x}, {"a": y})
    torch.testing.assert_close(losses.perceptual_relative({"a": 1e3 * x}, {"a": 1e3 * y}), small)
    assert torch.isfinite(losses.perceptual_relative({"a": x}, {"a": torch.zeros_like(y)})).all()


def test_gram_by_hand() -> None:
    features = torch.tensor([[[[1.0, 3.0]], [[2.0, 0.0]]]])
    assert losses.gram(features).tolist() == [[[5.0, 1.0], [1.0, 2.0]]]
    # By sums: G = [[10, 2], [2, 4]].
    assert losses.gram_literal({"a": features}, {"a": 0 * features}).item() == pytest.approx(100 + 4 + 4 + 16)


def test_relative_gram_distance_by_hand_and_free_of_scale() -> None:
    features = torch.tensor([[[[1.0, 3.0]], [[2.0, 0.0]]]])
    target = torch.tensor([[[[1.0, 1.0]], [[0.0, 0.0]]]])  # G = [[1, 0], [0, 0]]
    found = losses.gram_relative({"a": features}, {"a": target})
    assert found.item() == pytest.approx(16 + 1 + 1 + 4)
    torch.testing.assert_close(losses.gram_relative({"a": 50 * features}, {"a": 50 * target}), found)
    assert losses.gram_relative({"a": features}, {"a": features}).item() == 0
    assert torch.isfinite(losses.gram_relative({"a": features}, {"a": 0 * target})).all()


def unit(*shape: int) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, dtype=torch.float64), dim=1)


def test_info_nce_equals_the_equation() -> None:
    f, f_warp = unit(2, 5, 3, 4), unit(2, 5, 3, 4)
    torch.testing.assert_close(losses.info_nce(f, f_warp), losses.info_nce_reference(f, f_warp))
    torch.testing.assert_close(losses.info_nce(f, f_warp, 0.5), losses.info_nce_reference(f, f_warp, 0.5))


@pytest.mark.parametrize("chunk", [1, 5, 12])
def test_chunks_of_info_nce_change_neither_value_nor_gradient(chunk: int) -> None:
    f, f_warp = unit(2, 5, 3, 4).requires_grad_(), unit(2, 5, 3, 4).requires_grad_()
    wanted = losses.info_nce_reference(f, f_warp)
    found = losses.info_nce(f, f_warp, chunk=chunk)
    torch.testing.assert_close(found, wanted)
    weights = torch.tensor([1.0, -2.0], dtype=torch.float64)
    expected = torch.autograd.grad((weights * wanted).sum(), (f, f_warp))
    for gradient, other in zip(torch.autograd.grad((weights * found).sum(), (f, f_warp)), expected, strict=True):
        torch.testing.assert_close(gradient, other)


def test_sampled_anchors_of_info_nce_meet_all_negatives() -> None:
    f, f_warp = unit(2, 5, 3, 4), unit(2, 5, 3, 4)
    positions = torch.tensor([[0, 7, 11], [4, 2, 9]])
    logits = torch.einsum("bcn,bcm->bnm", f.flatten(2), f_warp.flatten(2)) / 0.07
    each = torch.logsumexp(logits, 2) - logits.diagonal(dim1=1, dim2=2)
    for chunk in (2, 1024):
        found = losses.info_nce(f, f_warp, positions=positions, chunk=chunk)
        torch.testing.assert_close(found, each.gather(1, positions).mean(1))


def test_info_nce_of_unlike_and_like() -> None:
    eye = torch.eye(16, dtype=torch.float64).view(1, 16, 4, 4)
    assert losses.info_nce(eye, eye).item() < 1e-4  # every position is only like itself
    assert losses.info_nce(torch.zeros_like(eye), eye).item() == pytest.approx(np.log(16))  # a blind guess


PER_LANE = ("l1", "l2", "mganprior", "relative", "gram_literal", "gram_relative", "contextual", "contextual_literal")


@pytest.mark.parametrize("name", [*PER_LANE, "info_nce", "info_nce_literal"])
def test_a_lane_does_not_depend_on_the_others(name: str) -> None:
    def loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if name in ("mganprior", "relative"):
            return losses.perceptual({"a": x}, {"a": y}, name)
        if name.startswith("gram"):
            return getattr(losses, name)({"a": x}, {"a": y})
        return getattr(losses, name)(x, y)

    x, y = torch.randn(3, 4, 6, 6), torch.randn(3, 4, 6, 6)
    torch.testing.assert_close(loss(x, y)[1:2], loss(x[1:2], y[1:2]))


def test_feature_norms_of_the_baselines_by_hand() -> None:
    features = {"a": torch.tensor([[[[3.0]], [[4.0]]]]), "b": torch.tensor([[[[1.0]], [[0.0]]]])}
    target = {"a": torch.tensor([[[[6.0]], [[8.0]]]]), "b": torch.tensor([[[[0.0]], [[1.0]]]])}
    # Squared differences 9 and 16, 1 and 1, in units of ImageNet's pixels.
    found = losses.perceptual(features, target, "mse", unit=255 * 0.226).item()
    assert found == pytest.approx((12.5 + 1) / (255 * 0.226) ** 2)
    # The first layer has the same direction; the second one at a right angle: |u - v|^2 = 2.
    assert losses.perceptual(features, target, "unit").item() == pytest.approx(2.0, abs=1e-6)


def test_geodesic_cross_loss_by_hand() -> None:
    same = torch.ones(3, 8)
    assert losses.geodesic_cross(same).item() == pytest.approx(0, abs=1e-6)
    right = 3 * torch.eye(2, 8)
    # Two of the four ordered pairs are at pi / 2; D / 8 = 1.
    assert losses.geodesic_cross(right).item() == pytest.approx((torch.pi / 2) ** 2 / 2, rel=1e-3)
    points = torch.randn(4, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(losses.geodesic_cross, (points,))


def test_noise_autocorrelation_tells_noise_from_pictures() -> None:
    random = torch.Generator().manual_seed(0)
    white = torch.randn(64, 64, generator=random)
    picture = torch.linspace(-1, 1, 64).expand(64, 64) * 3**0.5
    assert losses.noise_autocorrelation([white]) < 0.02
    assert losses.noise_autocorrelation([picture]) > 1
    assert losses.noise_autocorrelation([]).item() == 0
    total = losses.noise_autocorrelation([white, picture])
    parts = losses.noise_autocorrelation([white]) + losses.noise_autocorrelation([picture])
    torch.testing.assert_close(total, parts)
