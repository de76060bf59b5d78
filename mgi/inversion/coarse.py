"""The coarse head: reads an image at a quarter of the resolution directly from features in the middle of the tail.

MobileStyleGAN was trained with such heads at every resolution, but its export keeps only the last. A modulated 1x1
convolution from the features at 128x128 to the twelve wavelet coefficients of the 256x256 image, fitted to the
generator's own samples, replaces one of them: a step through it skips the two largest blocks and costs about a third.
docs/inversion.md has measurements of how well it reads and what it saves.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.generators.fused import StyledInverseHaar


@dataclass(frozen=True)
class CoarseHead:
    """weight [12,C], bias [12], style weight [C,D], style bias [C]; reads features after `layer` convolutions."""

    layer: int
    weight: Tensor
    bias: Tensor
    style_weight: Tensor
    style_bias: Tensor

    def __call__(self, features_bchw: Tensor, w_bd: Tensor) -> Tensor:
        """Features [B,C,H,W] (internal order of the generator) -> images [B,3,2H,2W]."""
        b, c, h, wd = features_bchw.shape
        style = 1 + F.linear(w_bd, self.style_weight, self.style_bias)
        weight = self.weight * style[:, None, :]
        pixels = features_bchw.permute(0, 2, 3, 1).reshape(b, h * wd, c).float()
        out = torch.baddbmm(self.bias.expand(b, 1, -1), pixels, weight.transpose(1, 2))
        coefficients = out.view(b, h, wd, -1).permute(0, 3, 1, 2)
        return StyledInverseHaar.apply(coefficients, coefficients.new_ones(b, coefficients.shape[1]))

    def to(self, device: str | torch.device) -> CoarseHead:
        """The same head on another device."""
        return CoarseHead(
            self.layer,
            *(t.to(device) for t in (self.weight, self.bias, self.style_weight, self.style_bias)),
        )


def _ridge(x_spc: Tensor, y_spo: Tensor) -> Tensor:
    """Least squares from features with a constant to coefficients, in float64: [C+1,O]."""
    size = x_spc.shape[2] + 1
    gram, product = torch.zeros(size, size).double(), torch.zeros(size, y_spo.shape[2]).double()
    for x, y in zip(x_spc.split(20), y_spo.split(20), strict=True):
        flat = torch.cat([x.flatten(0, 1), x.new_ones(x.shape[0] * x.shape[1], 1)], dim=1).double()
        gram += flat.t() @ flat
        product += flat.t() @ y.flatten(0, 1).double()
    gram += torch.eye(size).double() * gram.diagonal().mean() * 1e-6
    return torch.linalg.solve(gram, product).float()


def fit_coarse_head(
    layer: int, features: Tensor, styles: Tensor, coefficients: Tensor, steps: int = 1500, seed: int = 0
) -> tuple[CoarseHead, float]:
    """Fit a head to samples: features [S,P,C] at P positions each, styles w [S,D], coefficients [S,P,12].

    Starts at the ridge solution without styles, then Adam on all four tensors.

    Returns:
        The head and the root mean square error of its coefficients on the last tenth of the samples, which the fit
        never sees, as a fraction of their standard deviation.
    """
    held_out = max(1, len(styles) // 10)
    x, y, w = features[:-held_out].float(), coefficients[:-held_out].float(), styles[:-held_out]
    start = _ridge(x, y)
    channels, dimension = x.shape[2], styles.shape[1]
    parameters = [
        start[:-1].t().contiguous().requires_grad_(),
        start[-1].clone().requires_grad_(),
        torch.zeros(channels, dimension).requires_grad_(),
        torch.zeros(channels).requires_grad_(),
    ]
    weight, bias, style_weight, style_bias = parameters
    spread = y.flatten(0, 1).std(0)
    # Fine coefficients are small; without this weight the fit would only care about the coarse ones.
    importance = 1 / (spread + 0.1 * spread.max())
    magnitude = start[:-1].abs().mean()
    optimiser = torch.optim.Adam(
        [
            {"params": [weight], "lr": float(magnitude) * 0.02},
            {"params": [bias], "lr": 1e-3},
            {"params": [style_weight, style_bias], "lr": 1e-3},
        ]
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    random = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        pick = torch.randint(len(x), (16,), generator=random)
        style = 1 + F.linear(w[pick], style_weight, style_bias)
        predicted = torch.einsum("spc,sc,oc->spo", x[pick], style, weight) + bias
        loss = ((predicted - y[pick]) * importance).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    head = CoarseHead(layer, *(p.detach() for p in parameters))
    with torch.no_grad():
        x, y, w = features[-held_out:].float(), coefficients[-held_out:].float(), styles[-held_out:]
        predicted = torch.einsum("spc,sc,oc->spo", x, 1 + F.linear(w, head.style_weight, head.style_bias), head.weight)
        error = (predicted + head.bias - y).square().mean().sqrt() / y.std()
    return head, float(error)
