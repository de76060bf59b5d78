"""Two pictures of one structure in different styles, and a contrastive loss between their descriptors.

The second picture is also moved, because a head knows where it looks: without that it would match places by their
coordinates, which says nothing about other faces.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.correspondence.augment import affine_matrices, moved, photometric
from mgi.features.descriptor import GRID, DescriptorHead
from mgi.generators import Generator, StyledGenerator, is_styled
from mgi.training.descriptor_samples import Samples
from mgi.training.errors import TrainingError

NOWHERE = -1
"""Of a place that the other picture does not show."""
POSITIONS, ALPHA, NEAR = 512, 20.0, 2
"""Positions per pair of pictures, inverse temperature, and the cells around a position that are not told from it."""


def twins(samples: Samples, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Unit features of two pictures, each [1, C, 64, 64], and where the second's places lie in the first.

    Both have the structure of one latent; the styles behind one of the layers that are learnt are another face's in the
    second, whose colours change, too, and which is moved.

    Returns:
        Features, features, and places [64, 64]: row * 64 + column in the first picture, or `NOWHERE`.

    Raises:
        TrainingError: the generator has no styles to mix.
    """
    g, random = with_styles(samples.generator), torch.Generator().manual_seed(seed)
    z, truncation, choice = samples.drawn(random)
    w = g.truncate(g.to_w(z), truncation)
    one, two = samples.rendered(g, w[:1]), samples.rendered(g, samples.mixed(g, w, choice))
    matrices = affine_matrices(2 * torch.rand(1, 5, generator=random) - 1).to(z)
    two = moved(photometric(two, [random]), matrices)
    return samples.read(one), samples.read(two), places_of(matrices)


def with_styles(generator: Generator) -> StyledGenerator:
    """The generator itself. Raises TrainingError: it has no styles to mix."""
    if not is_styled(generator):
        raise TrainingError("contrast: expected a generator with styles to mix, found one without; leave it at 0")
    return generator


def places_of(matrices: Tensor) -> Tensor:
    """The cell of a picture that every cell shows after `moved(picture, matrices)`: [64, 64], `NOWHERE` beyond it."""
    grid = F.affine_grid(matrices, [1, 1, GRID, GRID], align_corners=False)[0]
    cells = ((grid + 1) * GRID / 2).floor().long()  # x, y
    inside = ((cells >= 0) & (cells < GRID)).all(-1)
    return torch.where(inside, cells[..., 1] * GRID + cells[..., 0], NOWHERE)


def contrastive_loss(first: Tensor, second: Tensor, places: Tensor, random: torch.Generator) -> Tensor:
    """How badly places of the second pictures find themselves in the first: InfoNCE over positions, the mean of nats.

    Cells nearer than `NEAR` to the right one count neither for nor against it.

    Args:
        first, second: descriptors [B, K, 64, 64].
        places: [B, 64, 64], as `twins` says.
        random: picks `POSITIONS` of each.
    """
    losses = []
    for here, there, where in zip(first.flatten(2), second.flatten(2), places.flatten(1), strict=True):
        visible = torch.nonzero(where != NOWHERE)[:, 0]
        chosen = visible[torch.randperm(len(visible), generator=random)[:POSITIONS].to(visible.device)]
        right = where[chosen]
        logits = ALPHA * F.normalize(there[:, chosen], dim=0).t() @ F.normalize(here[:, right], dim=0)
        rows, columns = right // GRID, right % GRID
        apart = torch.maximum((rows[:, None] - rows).abs(), (columns[:, None] - columns).abs())
        itself = torch.eye(len(chosen), dtype=torch.bool, device=logits.device)
        logits = logits.masked_fill((apart <= NEAR) & ~itself, -torch.inf)
        losses.append(F.cross_entropy(logits, torch.arange(len(chosen), device=logits.device)))
    return torch.stack(losses).mean()


class TwinBuffer:
    """Some twins in half precision; the oldest is replaced by the next.

    Args:
        samples: where they come from.
        head: reduces their features, and learns.
        count: how many are held.
        seed: of the first.
    """

    def __init__(self, samples: Samples, head: DescriptorHead, count: int, seed: int) -> None:
        self._samples, self._head, self._seed, self.made = samples, head, seed, 0
        channels = head.linear.in_channels
        self._inputs = torch.zeros((count, 2, channels, GRID, GRID), dtype=torch.half)
        self._places = torch.zeros((count, GRID, GRID), dtype=torch.long)

    @torch.no_grad()
    def renew(self) -> None:
        """One more."""
        *features, places = twins(self._samples, self._seed + self.made)
        index = self.made % len(self._inputs)
        for side, found in enumerate(features):
            self._inputs[index, side] = self._head.reduced(found)[0]
        self._places[index] = places
        self.made += 1

    def loss(self, count: int, random: torch.Generator) -> Tensor:
        """`contrastive_loss` of `count` of them."""
        device = self._head.linear.weight.device
        pick = torch.randint(len(self._inputs), (count,), generator=random)
        inputs = self._inputs[pick].to(device).float()
        found = self._head.from_reduced(inputs.flatten(0, 1).contiguous(memory_format=torch.channels_last))
        first, second = found.unflatten(0, (count, 2)).unbind(1)
        return contrastive_loss(first, second, self._places[pick].to(device), random)
