"""f-divergences and the discrepancy between two domains that bounds them (UDA-inversion, equations 5-7 and Table V).

For a convex f with f(1) = 0 and its Fenchel conjugate f*, sup over t of E_p[t(x)] - E_q[f*(t(x))] is the divergence
D_f(p || q), reached by t = f'(p / q). The discrepancy takes t = l(h(x), h'(x)) >= 0 and a supremum over h' alone, so it
is a lower bound of D_f.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Divergence:
    """f and f* of equations 1-2: a row of Table V.

    Args:
        f: of densities' ratio p / q > 0.
        conjugate: f*.
        slope: f'(1), the value of t where both densities are equal.
        limit: f* is finite below this.
    """

    f: Function
    conjugate: Function
    slope: float
    limit: float = math.inf

    def bounded(self, distance: Tensor) -> Tensor:
        """Distances >= 0 brought smoothly below `limit`, where there is one; their order stays."""
        if math.isinf(self.limit):
            return distance
        return self.limit * (1 - torch.exp(-distance / self.limit))


def _kl(ratio: Tensor) -> Tensor:
    return torch.special.xlogy(ratio, ratio)


def _kl_conjugate(t: Tensor) -> Tensor:
    return torch.exp(t - 1)


def _js(ratio: Tensor) -> Tensor:
    return torch.special.xlogy(ratio, ratio) - (ratio + 1) * torch.log((ratio + 1) / 2)


def _js_conjugate(t: Tensor) -> Tensor:
    return -torch.log(2 - torch.exp(t))


def _pearson(ratio: Tensor) -> Tensor:
    return (ratio - 1).square()


def _pearson_conjugate(t: Tensor) -> Tensor:
    return t.square() / 4 + t


def _variation(ratio: Tensor) -> Tensor:
    return (ratio - 1).abs() / 2


def _itself(t: Tensor) -> Tensor:
    return t


DIVERGENCES = {
    "pearson": Divergence(_pearson, _pearson_conjugate, 0.0),
    "kl": Divergence(_kl, _kl_conjugate, 1.0),
    "js": Divergence(_js, _js_conjugate, 0.0, math.log(2)),
    "total-variation": Divergence(_variation, _itself, 0.0, 0.5),
}
"""By name: Pearson's chi-squared, which the paper takes, because f'(1) = 0 and t has no limit, and the others of its
table."""


def discrepancy(source: Tensor, target: Tensor, divergence: Divergence) -> Tensor:
    """E_source[t] - E_target[f*(t)] (equation 7) for distances t = l(h, h') of two batches.

    The auxiliary network ascends it, and the encoder descends.

    Args:
        source, target: distances [B] and [B'], not negative.
        divergence: its f* and limit.
    """
    return divergence.bounded(source).mean() - divergence.conjugate(divergence.bounded(target)).mean()
