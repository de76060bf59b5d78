"""OEFT's equations 3-5, 8, 9 and 10 to the letter, against plain loops over their indices in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mgi import losses
from mgi.correspondence import correlation, hierarchical_features, soft_warp
from mgi.correspondence.matching import concatenated

TAU, H = 0.3, 0.5


def maps(seed: int, channels: int = 3, rows: int = 2, columns: int = 3) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(2, channels, rows, columns, dtype=torch.float64, generator=random) for _ in range(2))  # type: ignore[return-value]


def equation_8(f_s: Tensor, f_ts: Tensor) -> Tensor:
    """One pair, [C, N] each: sum over u, sum over n in N_u, of equation 7 with f- = f_{T->S}(n)."""
    total = torch.zeros((), dtype=f_s.dtype)
    for u in range(f_s.shape[1]):
        for n in range(f_s.shape[1]):
            if n == u:
                continue
            positive = torch.exp(f_s[:, u] @ f_ts[:, u] / TAU)
            negative = torch.exp(f_s[:, u] @ f_ts[:, n] / TAU)
            total = total - torch.log(positive / (positive + negative))
    return total


def equation_9(phi_t: Tensor, phi_ts: Tensor) -> Tensor:
    """One pair, one layer, [C, N] each."""

    def gram(phi: Tensor, c: int, d: int) -> Tensor:
        return sum((phi[c, u] * phi[d, u] for u in range(phi.shape[1])), start=torch.zeros((), dtype=phi.dtype))

    total = torch.zeros((), dtype=phi_t.dtype)
    for c in range(len(phi_t)):
        for d in range(len(phi_t)):
            total = total + (gram(phi_t, c, d) - gram(phi_ts, c, d)) ** 2
    return total


def equation_10(phi_t: Tensor, phi_ts: Tensor, mean: Tensor) -> Tensor:
    """One pair, [C, N] each: -log sum over u of max over l of X; mean is what both are centred on, [C]."""
    count = phi_t.shape[1]

    def distance(i: int, j: int) -> Tensor:
        x, y = phi_ts[:, i] - mean, phi_t[:, j] - mean
        return 1 - x @ y / (x.norm() * y.norm())

    rows = []
    for i in range(count):
        distances = torch.stack([distance(i, j) for j in range(count)])
        w = torch.exp((1 - distances / (distances.min() + 1e-5)) / H)
        rows.append(w / w.sum())
    return -torch.log(sum((max(row[j] for row in rows) for j in range(count)), start=torch.zeros(())))


def test_equation_8_to_the_letter() -> None:
    f_s, f_ts = maps(1)  # of any length: the paper does not normalise them
    found = losses.info_nce_literal(f_s, f_ts, TAU)
    expected = [equation_8(a.flatten(1), b.flatten(1)) for a, b in zip(f_s, f_ts, strict=True)]
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-9, atol=0)
    # Each term is -log of a share, so it is not equation 7 with all negatives at once, of which there is one per u.
    at_once = losses.info_nce(f_s, f_ts, TAU) * 6
    assert ((found - at_once).abs() > 0.1).all()


@pytest.mark.parametrize("chunk", [1, 4, 1024])
def test_chunks_and_samples_of_equation_8(chunk: int) -> None:
    f_s, f_ts = maps(2)
    whole = losses.info_nce_literal(f_s, f_ts, TAU, chunk=chunk)
    torch.testing.assert_close(whole, losses.info_nce_literal(f_s, f_ts, TAU))
    parts = [losses.info_nce_literal(f_s, f_ts, TAU, torch.tensor([[u, (u + 1) % 6]] * 2), chunk) for u in range(6)]
    torch.testing.assert_close(torch.stack(parts).mean(0), whole)  # a sample of anchors stands for all of them


def test_equation_8_stays_finite_where_features_are_large() -> None:
    f_s, f_ts = (100 * x for x in maps(3))
    with torch.no_grad():
        assert torch.isinf(torch.exp(f_s.flatten(2).transpose(1, 2) @ f_ts.flatten(2) / TAU)).any()
    assert torch.isfinite(losses.info_nce_literal(f_s.float(), f_ts.float(), TAU)).all()


def test_equation_9_to_the_letter() -> None:
    phi_t, phi_ts = maps(4)
    found = losses.gram_literal({"a": phi_ts}, {"a": phi_t})
    expected = [equation_9(a.flatten(1), b.flatten(1)) for a, b in zip(phi_t, phi_ts, strict=True)]
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-9, atol=0)
    other_t, other_ts = maps(5, channels=4, rows=1)
    both = losses.gram_literal({"a": phi_ts, "b": other_ts}, {"a": phi_t, "b": other_t})
    torch.testing.assert_close(both, found + losses.gram_literal({"b": other_ts}, {"b": other_t}))
    scaled = losses.gram_literal({"a": 57 * phi_ts}, {"a": 57 * phi_t}, unit=57)
    torch.testing.assert_close(scaled, found)


@pytest.mark.parametrize("centre", ["image", "batch"])
def test_equation_10_to_the_letter(centre: str) -> None:
    phi_t, phi_ts = maps(6)
    found = losses.contextual_literal(phi_ts, phi_t, H, centre)  # type: ignore[arg-type]
    means = phi_t.mean((2, 3)) if centre == "image" else phi_t.mean((0, 2, 3)).expand(2, -1)
    expected = [equation_10(a.flatten(1), b.flatten(1), mean) for a, b, mean in zip(phi_t, phi_ts, means, strict=True)]
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-7, atol=0)
    by_mean = losses.contextual(phi_ts, phi_t, H, centre)  # type: ignore[arg-type]
    torch.testing.assert_close(found + math.log(6), by_mean, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x, y: losses.info_nce_literal(x, y, TAU, chunk=4),
        lambda x, y: losses.info_nce_literal(x, y, TAU, torch.tensor([[5, 0, 2]] * 2)),
        lambda x, y: losses.gram_literal({"a": x}, {"a": y}, 2.0),
        lambda x, y: losses.contextual_literal(x, y, H, "batch"),
    ],
    ids=["8", "8, sampled", "9", "10"],
)
def test_gradients_equal_finite_differences(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    x, y = (values.requires_grad_() for values in maps(7))
    assert torch.autograd.gradcheck(loss, (x, y), check_undefined_grad=False)


def equations_3_to_5(f_s: Tensor, f_t: Tensor) -> Tensor:
    """M(u, v) of features [C, N]: each centred on its mean over all points, and the cosine of what is left."""
    f_s = f_s - torch.stack([f_s[:, u] for u in range(f_s.shape[1])]).mean(0)[:, None]
    f_t = f_t - torch.stack([f_t[:, v] for v in range(f_t.shape[1])]).mean(0)[:, None]
    rows = []
    for u in range(f_s.shape[1]):
        rows.append([f_s[:, u] @ f_t[:, v] / (f_s[:, u].norm() * f_t[:, v].norm()) for v in range(f_t.shape[1])])
    return torch.tensor(rows, dtype=f_s.dtype)


def test_equations_3_to_5_of_the_concatenated_feature() -> None:
    (shallow_s, shallow_t), (deep_s, deep_t) = maps(8, rows=4, columns=4), maps(9, channels=5, rows=2, columns=2)
    source, target = ([s[:1], 30 * d[:1]] for s, d in ((shallow_s, deep_s), (shallow_t, deep_t)))
    deep = [F.interpolate(30 * d[:1], size=(4, 4), mode="bilinear", align_corners=False) for d in (deep_s, deep_t)]
    whole = [torch.cat([s[:1], d], dim=1)[0].flatten(1) for s, d in zip((shallow_s, shallow_t), deep, strict=True)]
    torch.testing.assert_close(concatenated(source, 4)[0].flatten(1), whole[0])

    units = [hierarchical_features(pyramid, 4, by="concatenated") for pyramid in (source, target)]
    found = units[0][0].flatten(1).T @ units[1][0].flatten(1)
    torch.testing.assert_close(found, equations_3_to_5(*whole), rtol=0, atol=1e-12)
    torch.testing.assert_close(found, correlation(*(concatenated(p, 4) for p in (source, target)))[0])

    # Layer by layer is another M: there the deep layer, thirty times larger, weighs as much as the shallow one.
    by_layers = [hierarchical_features(pyramid, 4) for pyramid in (source, target)]
    other = by_layers[0][0].flatten(1).T @ by_layers[1][0].flatten(1)
    assert (found - other).abs().max() > 0.1
    deep_alone = [hierarchical_features(pyramid[1:], 4, by="concatenated") for pyramid in (source, target)]
    assert (found - deep_alone[0][0].flatten(1).T @ deep_alone[1][0].flatten(1)).abs().mean() < 0.02


def test_the_concatenated_feature_warps() -> None:
    pyramid = [torch.randn(1, 4, 8, 8), torch.randn(1, 6, 4, 4)]
    unit = hierarchical_features(pyramid, 8, by="concatenated")
    torch.testing.assert_close(unit.square().sum(1), torch.ones(1, 8, 8))
    colours = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(soft_warp(unit, unit, colours, 1e4), colours, rtol=0, atol=1e-3)
