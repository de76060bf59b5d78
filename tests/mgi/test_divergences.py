"""f-divergences: conjugates by search, Proposition 1 and Theorem 1 on toy problems whose answers are known."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from mgi.losses.divergences import DIVERGENCES, Divergence, discrepancy

NAMES = tuple(DIVERGENCES)
P = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
Q = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)


def exact(row: Divergence, p: Tensor, q: Tensor) -> Tensor:
    return (q * row.f(p / q)).sum()


@pytest.mark.parametrize("name", NAMES)
def test_conjugates_are_suprema(name: str) -> None:
    row = DIVERGENCES[name]
    ratios = torch.logspace(-6, 3, 400_001, dtype=torch.float64)
    for t in (0.01, 0.2, 0.45):
        value = torch.tensor(t, dtype=torch.float64)
        found = (value * ratios - row.f(ratios)).max()
        torch.testing.assert_close(found, row.conjugate(value), atol=1e-5, rtol=1e-5)
        # f(1) = 0, so f* lies above the diagonal, which the bound needs.
        assert row.conjugate(value) >= value - 1e-12
    assert float(row.f(torch.ones(1, dtype=torch.float64))) == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_free_function_finds_the_divergence(name: str) -> None:
    """Proposition 1: the best t is f'(p / q), f'(1) where densities are equal, and reaches D_f(p || q)."""
    row = DIVERGENCES[name]
    for p, expected in ((P, exact(row, P, Q)), (Q, torch.zeros((), dtype=torch.float64))):
        t = torch.zeros(4, dtype=torch.float64, requires_grad=True)
        optimiser = torch.optim.Adam([t], 0.02)
        for step in range(4000):
            optimiser.param_groups[0]["lr"] = 0.02 * (1 - step / 4000)
            optimiser.zero_grad()
            loss = (Q * row.conjugate(t) - p * t).sum()
            loss.backward()
            optimiser.step()
            with torch.no_grad():
                t.clamp_(-row.limit if name == "total-variation" else -50, row.limit - (0 if name != "js" else 1e-9))
        found = (p * t - Q * row.conjugate(t)).sum().detach()
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
        if p is Q and name != "total-variation":  # whose f has a kink at 1
            torch.testing.assert_close(t.detach(), torch.full((4,), row.slope, dtype=torch.float64), atol=1e-2, rtol=0)


POINTS, LABELS = 3, 3
HYPOTHESES = torch.tensor(list(itertools.product(range(LABELS), repeat=POINTS)), dtype=torch.float64)


def risk(weights: Tensor, one: Tensor, other: Tensor) -> Tensor:
    return (weights * (one - other).abs()).sum(-1)


@pytest.mark.parametrize("name", ["pearson", "kl"])
@pytest.mark.parametrize("seed", range(6))
def test_the_target_error_is_bounded(name: str, seed: int) -> None:
    """Theorem 1 for every hypothesis on three points and three labels, with l = |a - b|."""
    random = torch.Generator().manual_seed(seed)
    p, q = (torch.rand(2, POINTS, generator=random, dtype=torch.float64) ** 2).unbind()
    p, q, row = p / p.sum(), q / q.sum(), DIVERGENCES[name]
    source, target = (HYPOTHESES[int(i)] for i in torch.randint(len(HYPOTHESES), (2,), generator=random))
    ideal = (risk(p, HYPOTHESES, source) + risk(q, HYPOTHESES, target)).min()
    tight = 0
    for h in HYPOTHESES:
        t = (HYPOTHESES - h).abs()
        apart = ((p * t).sum(1) - (q * row.conjugate(t)).sum(1)).abs().max()
        bound = risk(p, h, source) + apart + ideal
        assert risk(q, h, target) <= bound + 1e-12
        tight += bool(risk(p, h, source) < risk(q, h, target))  # the source's error alone would be no bound
    assert tight


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    random = torch.Generator().manual_seed(0)
    source, target = (torch.rand(5, generator=random, dtype=torch.float64).requires_grad_() for _ in range(2))
    assert torch.autograd.gradcheck(lambda s, t: discrepancy(s, t, DIVERGENCES[name]), (source, target))


def test_discrepancy_by_hand() -> None:
    source, target = torch.tensor([1.0, 3.0]), torch.tensor([0.5, 1.5])
    expected = 2.0 - ((0.25 / 4 + 0.5) + (2.25 / 4 + 1.5)) / 2
    torch.testing.assert_close(discrepancy(source, target, DIVERGENCES["pearson"]), torch.tensor(expected))
    assert discrepancy(10 * source, target, DIVERGENCES["js"]) < float(torch.tensor(2.0).log())
