"""SimGAN (Shrivastava et al., CVPR 2017): simulated pictures refined until they look real, and still show the same."""

from __future__ import annotations

from typing import Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mgi.systems.adversarial import History
from mgi.systems.base import Batch, Guide, Player, Step, System
from mgi.systems.contest import ContestConfig, bounded, fooled, judged

HALVINGS = 2
"""Of what the discriminator sees."""


class SimGANConfig(ContestConfig):
    """As published for eyes: batches of 512 at a constant 0.001; 1,000 steps of the refiner alone, 200 of the judge.

    The paper does not say which optimiser, how large the history is, and what lambda is. Here: Adam (0.9, 0.999) and
    0.5 as in public code; a history that a checkpoint has room for.
    """

    batch: int = Field(512, ge=1)
    """Pictures per step."""
    learning_rate: float = Field(1e-3, gt=0)
    """Of both networks."""
    beta1: float = Field(0.9, ge=0, lt=1)
    """Decay of Adam's first moment."""
    optimiser: Literal["adam", "sgd"] = "adam"
    """Plain gradient steps need a learning rate of about 0.00001, because losses are sums over places."""
    flip: bool = False
    """Mirror half of the pictures."""
    blocks: int = Field(4, ge=1, le=32)
    """Residual blocks of the refiner; the paper has 10 for hands."""
    kernel: Literal[3, 5, 7] = 3
    """Rows and columns of the refiner's kernels; the paper has 7 for hands."""
    regularisation: float = Field(0.5, ge=0)
    """lambda of equation 4."""
    compared: Literal["pixels", "mean-of-channels"] = "pixels"
    """psi of equation 4: what should stay as it is. The mean of the channels leaves colours free."""
    refiner_first: int = Field(1000, ge=0)
    """Steps in which the refiner learns to change nothing."""
    discriminator_first: int = Field(200, ge=0)
    """Steps after them in which the discriminator learns alone."""
    refiner_steps: int = Field(2, ge=1)
    """K_g of algorithm 1: steps of the refiner in a row, each with pictures of its own."""
    discriminator_steps: int = Field(1, ge=1)
    """K_d of algorithm 1: steps of the discriminator after them."""
    history: int = Field(2048, ge=0, le=100_000)
    """Refined pictures of earlier steps, which are half of those that the discriminator is shown; 0: none. Each takes
    four bytes a pixel and channel in every checkpoint."""


class SimGAN(System):
    """A residual refiner against a discriminator of patches."""

    name, data, kept, config_type = "simgan", "two-folders", ("refiner",), SimGANConfig

    def __init__(self, config: SimGANConfig, training: bool = True) -> None:
        super().__init__(config, training)
        self.refiner = Refiner(config.width, config.blocks, config.kernel)
        if training:
            self.discriminator = LocalDiscriminator(config.width)
            self.history = History(config.history, (3, config.size, config.size))

    @property
    def _config(self) -> SimGANConfig:
        return cast("SimGANConfig", self.config)

    def players(self) -> dict[str, Player]:
        """Refiner and discriminator."""
        kind = self._config.optimiser
        return {
            "refiner": Player([self.refiner], kind=kind),
            "discriminator": Player([self.discriminator], kind=kind),
        }

    def learn(self, batch: Batch, step: Step) -> None:
        """Algorithm 1, one of its inner steps; losses are sums over places and means over the batch."""
        config, turn = self._config, whose(self._config, step.number)
        places = (config.size // 2**HALVINGS) ** 2
        if turn == "discriminator":
            with torch.no_grad():
                shown = self.history.mix(self.refiner(batch.a), step.random)
            loss = places * judged(config, self.discriminator, batch.b, shown, step.random)
            step.update("discriminator", {"discriminator": loss})
            bounded(config, self.discriminator)
            return
        refined = self.refiner(batch.a)
        terms = {"regularisation": config.regularisation * self._changed(refined, batch.a)}
        if turn == "refiner":
            terms["adversarial"] = places * fooled(config, self.discriminator, refined)
        step.update("refiner", terms)

    def _changed(self, refined: Tensor, simulated: Tensor) -> Tensor:
        """|psi(R(x)) - psi(x)|, summed over a picture, the mean over the batch."""
        difference = refined - simulated
        if self._config.compared == "mean-of-channels":
            difference = difference.mean(1)
        return difference.abs().flatten(1).sum(1).mean()

    def translate(self, a: Tensor, guide: Guide, random: torch.Generator) -> Tensor:
        """Refined; nothing is random."""
        found: Tensor = self.refiner(a)
        return found


def whose(config: SimGANConfig, number: int) -> Literal["refiner alone", "refiner", "discriminator"]:
    """Whose turn it is in a step."""
    if number < config.refiner_first:
        return "refiner alone"
    number -= config.refiner_first
    if number < config.discriminator_first:
        return "discriminator"
    number -= config.discriminator_first
    in_round = number % (config.refiner_steps + config.discriminator_steps)
    return "refiner" if in_round < config.refiner_steps else "discriminator"


class Refiner(nn.Module):
    """Pictures [B, 3, S, S] -> [B, 3, S, S] in [-1, 1], all at one size (their figure 6).

    At 64 channels, four blocks and kernels of 3 it has 297,411 parameters.
    """

    def __init__(self, width: int, blocks: int, kernel: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, kernel, padding=kernel // 2)
        self.pairs = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(width, width, kernel, padding=kernel // 2) for _ in range(2)) for _ in range(blocks)
        )
        self.last = nn.Conv2d(width, 3, 1)
        xavier_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, S, S] -> [B, 3, S, S]."""
        x = F.relu(self.first(x))
        for pair in self.pairs:
            before, after = cast("nn.ModuleList", pair)
            x = F.relu(x + after(F.relu(before(x))))
        return torch.tanh(self.last(x))


class LocalDiscriminator(nn.Module):
    """Pictures [B, 3, S, S] -> a logit for every patch [B, 1, S / 4, S / 4].

    The paper ends in two channels and a softmax; their difference is the logit. At 64 of the refiner's channels it has
    77,634 parameters.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 3 * width // 2, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(3 * width // 2, width, 3, 2, 1),
            nn.ReLU(),
            nn.MaxPool2d(3, 1, 1),
            nn.Conv2d(width, width // 2, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width // 2, width // 2, 1),
            nn.ReLU(),
            nn.Conv2d(width // 2, 2, 1),
        )
        xavier_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """The logits of being real."""
        real, refined = self.layers(x).chunk(2, 1)
        found: Tensor = real - refined
        return found


def xavier_weights(network: nn.Module) -> None:
    """Glorot and Bengio 2010, biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
