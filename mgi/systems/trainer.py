"""One training of a system: optimisers, running average, and a step that depends on nothing but its number and batch.

Everything random in step k is drawn from a generator seeded by (seed, k), and everything else is in `state()`: a run
that is continued equals one that was never stopped, bit for bit on a CPU with as many threads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mgi.systems.base import Batch, Guide, Player, System
from mgi.training.errors import TrainingError
from mgi.training.seeds import seed_of

FORMAT = "mgi-translator-training-1"


class SystemTrainer:
    """Networks and optimisers of one run.

    Args:
        system: built for training, with the weights that it starts from.
        steps: in all; learning rates may fall towards the end (`System.rate`).
        device: where.
    """

    def __init__(self, system: System, steps: int, device: str | torch.device = "cpu") -> None:
        self.device, self.steps = torch.device(device), steps
        self.system = system.to(self.device).train()
        self.config = system.config
        self.steps_done = 0
        self.average = self._copy() if self.config.ema else None
        self._rates: dict[str, float] = {}
        self._optimizers = {name: self._optimizer(name, player) for name, player in system.players().items()}

    def step(self, batch: Batch) -> dict[str, float]:
        """One step; its terms by name.

        Raises:
            TrainingError: one of them is no number any more.
        """
        factor = self.system.rate(self.steps_done, self.steps)
        for name, optimizer in self._optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = factor * self._rates[name]
        random = self._random("step", self.steps_done)
        now = _Now(self.steps_done, self.steps, random, self._optimizers)
        self.system.learn(batch.to(self.device), now)
        self.steps_done += 1
        if self.average is not None:
            self._update_average()
        names, values = list(now.terms), torch.stack(list(now.terms.values())).tolist()  # one transfer
        terms = dict(zip(names, values, strict=True))
        if bad := [name for name, value in terms.items() if not math.isfinite(value)]:
            raise TrainingError(
                f"{bad[0]} stopped being a number in step {self.steps_done}; the best snapshot and the last checkpoint "
                "are kept; train again with a smaller --set learning_rate"
            )
        return terms

    @property
    def best_weights(self) -> System:
        """What translates: the running average, or the system itself."""
        return self.system if self.average is None else self.average

    @torch.no_grad()
    def translate(self, a: Tensor, guide: Guide, seed: int = 0) -> Tensor:
        """[B, C, s, s] -> [B, 3, S, S], clipped, on the CPU; statistics of batches are used, and not changed."""
        random, system = torch.Generator().manual_seed(seed), self.best_weights
        system.eval()
        try:
            return system.translate(a.to(self.device), guide.to(self.device), random).clamp(-1, 1).float().cpu()
        finally:
            system.train(system is self.system)

    def state(self) -> dict[str, Any]:
        """Everything needed to continue: tensors, numbers and text, readable with `weights_only=True`."""
        average = {} if self.average is None else {"average": self.average.state_dict()}
        return {
            "format": FORMAT,
            "digest": self.config.digest(self.system.name),
            "steps_done": self.steps_done,
            "system": self.system.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()},
            **average,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from `state()`.

        Raises:
            TrainingError: it is another training's, or something else.
        """
        if state.get("format") != FORMAT:
            raise TrainingError("the checkpoint is no training state of a translator; give a folder that it made")
        if state.get("digest") != self.config.digest(self.system.name):
            raise TrainingError("the checkpoint was written under other settings; use its own")
        try:
            self.system.load_state_dict(state["system"])
            for name, optimizer in self._optimizers.items():
                optimizer.load_state_dict(state["optimizers"][name])
            if self.average is not None:
                self.average.load_state_dict(state["average"])
            self.steps_done = int(state["steps_done"])
        except (KeyError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:160]
            raise TrainingError(f"the checkpoint has another architecture ({reason}); use its own settings") from None

    def _copy(self) -> System:
        """What translates, with weights of its own."""
        found = type(self.system)(self.config, training=False).to(self.device).requires_grad_(False)
        found.load_state_dict({name: self.system.state_dict()[name] for name in found.state_dict()})
        return found

    def _optimizer(self, name: str, player: Player) -> torch.optim.Optimizer:
        config = self.config
        parameters = [p for network in player.networks for p in network.parameters() if p.requires_grad]
        rate = config.learning_rate if player.learning_rate is None else player.learning_rate
        self._rates[name] = rate
        if player.kind == "sgd":
            return torch.optim.SGD(parameters, rate, weight_decay=player.weight_decay)
        if player.kind == "rmsprop":  # decay and epsilon as TensorFlow has them
            return torch.optim.RMSprop(parameters, rate, alpha=0.9, eps=1e-10, weight_decay=player.weight_decay)
        betas = player.betas or (config.beta1, config.beta2)
        decay = player.weight_decay
        return torch.optim.Adam(parameters, rate, betas, eps=player.epsilon, weight_decay=decay, fused=True)

    @torch.no_grad()
    def _update_average(self) -> None:
        assert self.average is not None
        now = self.system.state_dict()
        for name, tensor in self.average.state_dict().items():
            if tensor.is_floating_point():
                tensor.lerp_(now[name], 1 - self.config.ema)
            else:
                tensor.copy_(now[name])

    def _random(self, *purpose: object) -> torch.Generator:
        return torch.Generator().manual_seed(seed_of(self.config.seed, *purpose))


class _Now:
    """A `mgi.systems.base.Step`."""

    def __init__(
        self, number: int, steps: int, random: torch.Generator, optimizers: Mapping[str, torch.optim.Optimizer]
    ) -> None:
        self.number, self.steps, self.random, self._optimizers = number, steps, random, optimizers
        self.terms: dict[str, Tensor] = {}

    def update(self, player: str | Sequence[str], terms: Mapping[str, Tensor]) -> None:
        """Backward, and a step of the players' optimisers."""
        optimizers = [self._optimizers[name] for name in ((player,) if isinstance(player, str) else player)]
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        for optimizer in optimizers:
            optimizer.step()
        self.terms |= {name: term.detach() for name, term in terms.items()}


def started(system: type[System], config: Any) -> System:
    """A system with the random weights of its seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(config.seed, "weights"))
        return system(config)
