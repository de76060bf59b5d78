"""A direction from labelled latents: the normal of a linear boundary (InterfaceGAN, Shen et al., CVPR 2020).

The boundary is a linear support vector machine with squared hinge loss. With latents x_i scaled by one common factor
to a mean squared length of D, labels y_i = +-1 and both classes weighted alike,

    minimise over w, b:  0.5 |w|^2 + C sum_i c_i max(0, 1 - y_i (w . x_i + b))^2

which is convex and smooth, so L-BFGS finds its minimum in a few dozen steps. The factor is common to all dimensions:
scaling each dimension by itself would turn the normal away from what the samples show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mgi.config import ConfigError

FOLDS = 5
PENALTY = 1e-2
"""C. Labels by eye are few and latents have hundreds of dimensions: then more regularisation than the usual 1
generalises better (docs/editing.md)."""


@dataclass(frozen=True)
class Boundary:
    """`normal` [D], float32 of length 1, points to the positive side.

    `accuracy` is measured on held-out samples: every sample is judged by a boundary that was fitted without it.
    `balanced` is the mean of both classes' accuracies; guessing gives 0.5. `spread` is one standard deviation of the
    samples along the normal: a natural unit for amounts.
    """

    normal: np.ndarray
    accuracy: float
    balanced: float
    spread: float


def fit_boundary(latents: np.ndarray, positive: np.ndarray, seed: int = 0, penalty: float = PENALTY) -> Boundary:
    """The boundary between two classes of latents.

    Args:
        latents: float [n, D].
        positive: bool [n].
        seed: for the folds that measure the accuracy; the normal itself is fitted to all samples.
        penalty: C.

    Raises:
        ConfigError: fewer than FOLDS samples of a class.
    """
    fewest = int(min(positive.sum(), (~positive).sum()))
    if fewest < FOLDS:
        raise ConfigError(f"expected at least {FOLDS} labels of either class, found {fewest}; label more samples")
    x = torch.from_numpy(np.asarray(latents, np.float64))
    y = torch.from_numpy(np.where(positive, 1.0, -1.0))
    fold = _folds(positive, seed)
    right = torch.zeros(len(y), dtype=torch.bool)
    for number in range(FOLDS):
        held = fold == number
        weight, offset = svm(x[~held], y[~held], penalty)
        right[held] = (x[held] @ weight + offset) * y[held] > 0
    weight, _ = svm(x, y, penalty)
    normal = weight / weight.norm()
    balanced = (right[y > 0].double().mean() + right[y < 0].double().mean()) / 2
    spread = float((x @ normal).std())
    return Boundary(normal.float().numpy(), float(right.double().mean()), float(balanced), spread)


def svm(x: Tensor, y: Tensor, penalty: float = PENALTY) -> tuple[Tensor, Tensor]:
    """The minimum of the loss above, for x as given: x float64 [n, D], y +-1 [n] -> weight [D], offset []."""
    centre = x.mean(0)
    scale = (x - centre).square().mean().sqrt()
    scaled = (x - centre) / scale  # L-BFGS starts well where the data is
    share = torch.where(y > 0, len(y) / (2 * (y > 0).sum()), len(y) / (2 * (y < 0).sum()))
    parameters = torch.zeros(x.shape[1] + 1, dtype=x.dtype, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [parameters],
        max_iter=500,
        history_size=20,
        tolerance_grad=1e-8,
        tolerance_change=1e-13,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        hinge = (1 - y * (scaled @ parameters[:-1] + parameters[-1])).clamp(min=0)
        value = 0.5 * parameters[:-1].square().sum() + penalty * (share * hinge.square()).sum()
        value.backward()
        return value

    optimiser.step(loss)
    weight = parameters.detach()[:-1] / scale
    return weight, parameters.detach()[-1] - centre @ weight


def _folds(positive: np.ndarray, seed: int) -> Tensor:
    """A fold number for every sample, each class spread evenly."""
    fold, random = np.empty(len(positive), int), np.random.default_rng(seed)
    for members in (np.flatnonzero(positive), np.flatnonzero(~positive)):
        fold[random.permutation(members)] = np.arange(len(members)) % FOLDS
    return torch.from_numpy(fold)
