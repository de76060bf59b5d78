"""What an encoder says of a picture: coordinates of a generator's latents, one row for each style.

Generators with styles: the first principal directions of w, with the mapping network's last leaky ReLU undone, which
makes w nearly Gaussian. Rows are those of W+. Generators without styles: z itself, one row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.generators import Generator, is_styled, is_tapped
from mgi.images import down as average

SLOPE = 0.2


@dataclass(frozen=True)
class Codes:
    """Coordinates of latents: x = mean + unit basis c, and w is x after a leaky ReLU, where there are styles.

    Args:
        mean: [D].
        basis: [D, K], orthonormal columns.
        unit: so that coordinates of the generator's own latents have a mean square of about 1.
        styles: rows of W+; 0: the generator has no styles, and latents are z.
        slope: of the leaky ReLU; 1: there is none.
    """

    mean: Tensor
    basis: Tensor
    unit: float
    styles: int
    slope: float = 1.0

    @property
    def rows(self) -> int:
        """Rows of coordinates."""
        return max(1, self.styles)

    @property
    def columns(self) -> int:
        """K."""
        return self.basis.shape[1]

    def latents(self, coordinates: Tensor) -> Tensor:
        """[..., K] -> w or z [..., D]."""
        x = self.mean + self.unit * coordinates @ self.basis.t()
        return x if self.slope == 1 else F.leaky_relu(x, self.slope)

    def of(self, latents: Tensor) -> Tensor:
        """The inverse, as far as K directions hold it: [..., D] -> [..., K]."""
        x = torch.where(latents > 0, latents, latents / self.slope)
        return (x - self.mean) @ self.basis / self.unit

    def to(self, device: str | torch.device) -> Codes:
        """The same on another device."""
        return Codes(self.mean.to(device), self.basis.to(device), self.unit, self.styles, self.slope)

    def state(self) -> dict[str, Tensor]:
        """All of it as tensors, for a file."""
        return {
            "mean": self.mean,
            "basis": self.basis,
            "unit": torch.tensor([self.unit, float(self.styles), self.slope]),
        }

    @classmethod
    def of_state(cls, tensors: Mapping[str, Tensor]) -> Codes:
        """The inverse of `state`. Raises KeyError or ValueError: something is missing."""
        unit, styles, slope = tensors["unit"].tolist()
        return cls(tensors["mean"].float(), tensors["basis"].float(), float(unit), round(styles), float(slope))


@torch.no_grad()
def measure_codes(generator: Generator, components: int, samples: int = 20_000) -> Codes:
    """The coordinates of a generator, from latents of its own.

    Args:
        generator: any, on the CPU or a GPU.
        components: K, at most its D; 0: differences from the mean w in all D dimensions, as published encoders say.
        samples: latents that are measured.
    """
    size = generator.z_dim
    if not is_styled(generator):
        return Codes(torch.zeros(size), torch.eye(size), 1.0, 0)
    device = next(iter(generator.state_dict().values())).device
    z = torch.randn(samples, size, generator=torch.Generator().manual_seed(0))
    w = torch.cat([generator.to_w(part.to(device)).cpu() for part in z.split(5000)])
    if not components:
        return Codes(w.mean(0), torch.eye(size), 1.0, generator.styles)
    x = torch.where(w > 0, w, w / SLOPE).double()
    values, vectors = torch.linalg.eigh(torch.cov(x.t()))
    count = min(components, len(values))
    unit = float((values[-count:].sum() / count).sqrt())
    basis = vectors.flip(1)[:, :count].float().contiguous()
    return Codes(x.mean(0).float(), basis, unit, generator.styles, SLOPE)


class CoarseRead(Protocol):
    """A coarse head (`mgi.inversion.coarse`): reads images from features after `layer` layers."""

    @property
    def layer(self) -> int:
        """Where it reads."""
        ...

    def __call__(self, features: Tensor, w: Tensor, /) -> Tensor:
        """Features [B, C, h, w] and w [B, D] -> images [B, 3, 2h, 2w]."""
        ...


def render(generator: Generator, latents: Tensor, rows: int, head: CoarseRead | None = None) -> Tensor:
    """Latents [B, styles, D], or [B, 1, D] without styles, -> images [B, 3, r, r], r = min(rows, R), not clipped.

    Larger images are reduced by means of cells, which generators compute faster than the whole image.

    Args:
        generator: whose latents they are.
        latents: see above.
        rows: of the images at most.
        head: reads smaller images in the middle of the tail, for a third of the time.
    """
    down = max(1, generator.resolution // rows)
    if not is_styled(generator):
        return average(generator(latents[:, 0]), down)
    tail = latents[:, -generator.tail_styles(1) :]
    features = generator.head(latents[:, 0], 1)
    if head is not None and is_tapped(generator):
        images = head(generator.tail_features(features, 1, tail, head.layer), tail[:, -1])
        return average(images, max(1, images.shape[-1] // rows))
    return generator.render(features, 1, tail, down)
