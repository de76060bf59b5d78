"""A critic: how unlike the generator's samples a picture is, judged by a small network from its stored features.

Frechet distances of one picture compare its content with the domain's: a torn or blurred face is often nearer to the
domain's mean than a clean one (docs/selection.md). A critic has seen pairs of which the better one is known, because
the worse one was made from it, and says a number that is smaller for the better one. It reads what is stored of every
hypothesis (`mgi.metrics.locations`), so it can choose again in runs that are done.

Shapes: B pictures, K components of the domain, g x g locations.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.critics import CRITIC, CriticFacts


class CriticNetwork(nn.Module):
    """Features [B, K, g, g] -> [B], lower for pictures that are more like samples: the mean of what each place says.

    Args:
        components: K.
        width: channels.
    """

    def __init__(self, components: int, width: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(components, width, 1)
        self.drop = nn.Dropout2d(0.2)
        self.blocks = nn.ModuleList([nn.Conv2d(width, width, 3, padding=1) for _ in range(2)])
        self.leave = nn.Conv2d(width, 1, 1)

    def forward(self, features: Tensor) -> Tensor:
        """[B, K, g, g] -> [B]."""
        hidden = self.drop(self.enter(features))
        for block in self.blocks:
            hidden = hidden + block(F.gelu(hidden))
        out: Tensor = self.leave(F.gelu(hidden)).mean((1, 2, 3))
        return out


class Critic:
    """A learnt critic.

    Args:
        network: the learnt part.
        facts: where it comes from.
    """

    def __init__(self, network: CriticNetwork, facts: CriticFacts) -> None:
        self.network, self.facts = network.eval().requires_grad_(False), facts

    @torch.no_grad()
    def __call__(self, features: np.ndarray) -> float:
        """Stored features [K, g, g] of one picture -> its number; NaN if they are not finite."""
        return float(self.network(torch.from_numpy(features.astype(np.float32))[None])[0])


def write_critic(path: Path, network: CriticNetwork, facts: CriticFacts) -> None:
    """Write a critic in half precision; its file appears whole or not at all."""
    CRITIC.write(path, network.state_dict(), facts)


def read_critic(path: Path) -> Critic:
    """A critic from its file.

    Raises:
        mgi.learnt_files.LearntFileError: the file is no critic, or damaged.
    """
    tensors, facts = CRITIC.read(path)
    with CRITIC.building(path):
        width, components = tensors["enter.weight"].shape[:2]
        network = CriticNetwork(components, width)
        network.load_state_dict(tensors)
    return Critic(network, facts)
