"""Ranger against the published formulas, written out for one number at a time."""

from __future__ import annotations

import math

import torch

from mgi.training.ranger import Ranger

RATE, FIRST, SECOND, EPSILON = 0.01, 0.95, 0.999, 1e-5


def by_hand(start: float, gradients: list[float]) -> list[float]:
    """RAdam (Liu et al. 2020, algorithm 2) with Lookahead (k = 6, alpha = 0.5) on one weight."""
    fast = slow = start
    m = v = 0.0
    longest, seen = 2 / (1 - SECOND) - 1, []
    for step, gradient in enumerate(gradients, 1):
        m = FIRST * m + (1 - FIRST) * gradient
        v = SECOND * v + (1 - SECOND) * gradient**2
        length = longest - 2 * step * SECOND**step / (1 - SECOND**step)
        move = m / (1 - FIRST**step)
        if length > 5:
            rectify = math.sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length))
            move *= rectify * math.sqrt(1 - SECOND**step) / (math.sqrt(v) + EPSILON)
        fast -= RATE * move
        if step % 6 == 0:
            slow += 0.5 * (fast - slow)
            fast = slow
        seen.append(fast)
    return seen


def test_vectors_move_as_published() -> None:
    random = torch.Generator().manual_seed(0)
    gradients = torch.randn(30, 4, generator=random, dtype=torch.float64)
    weight = torch.nn.Parameter(torch.tensor([0.5, -1.0, 2.0, 0.0], dtype=torch.float64))
    optimiser, seen = Ranger([weight], RATE), []
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimiser.step()
        seen.append(weight.detach().clone())
    for column, start in enumerate((0.5, -1.0, 2.0, 0.0)):
        expected = by_hand(start, gradients[:, column].tolist())
        torch.testing.assert_close(torch.stack(seen)[:, column], torch.tensor(expected, dtype=torch.float64))


def test_gradients_of_matrices_are_centred_per_output() -> None:
    weight = torch.nn.Parameter(torch.zeros(2, 3))
    weight.grad = torch.tensor([[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]])
    Ranger([weight], RATE).step()
    assert weight[0, 1] == 0 and weight[0, 0] == -weight[0, 2] != 0 and (weight[1] == 0).all()


def test_a_saved_state_goes_on_the_same() -> None:
    random = torch.Generator().manual_seed(1)
    gradients = torch.randn(9, 5, generator=random)

    def moved(weight: torch.nn.Parameter, optimiser: Ranger, part: torch.Tensor) -> None:
        for gradient in part:
            weight.grad = gradient.clone()
            optimiser.step()

    whole = torch.nn.Parameter(torch.ones(5))
    moved(whole, Ranger([whole], RATE), gradients)
    first = torch.nn.Parameter(torch.ones(5))
    before = Ranger([first], RATE)
    moved(first, before, gradients[:4])
    later = torch.nn.Parameter(first.detach().clone())
    after = Ranger([later], RATE)
    after.load_state_dict(before.state_dict())
    moved(later, after, gradients[4:])
    assert torch.equal(whole, later)
