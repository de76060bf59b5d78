"""One training run as an object: networks, optimisers, running average, and a step that depends on nothing else.

Everything random in step k (images, mirror, augmentation, codes) is drawn from generators seeded by (seed, k). So a run
that is continued from step k equals one that was never stopped, bit for bit on a CPU with as many threads.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mgi.features import Backbone, load_backbone
from mgi.training.adapted import Adapted
from mgi.training.augment import augment, blurred
from mgi.training.config import TrainingConfig
from mgi.training.errors import TrainingError
from mgi.training.export import export_generator
from mgi.training.further import FurtherTerms
from mgi.training.networks import GROUP, Discriminator, Encoder, default_channels
from mgi.training.objectives import OBJECTIVES, clip_weights, gradient_penalty, r1_penalty
from mgi.training.players import new_generator, parameter_groups
from mgi.training.projected import ProjectedDiscriminator
from mgi.training.seeds import seed_of

_ADAM_FIRST_MOMENT = 0.0
BLUR = 2.0
"""Standard deviation in pixels that `blur_images` starts from (Sauer et al. 2021)."""


@dataclass(frozen=True)
class Losses:
    """One step's numbers: both losses, mean logits of real and generated images, and the R1 penalty if it was due."""

    generator: float
    discriminator: float
    real_logit: float
    fake_logit: float
    r1: float | None

    @property
    def finite(self) -> bool:
        """Whether training is still alive."""
        return math.isfinite(self.generator) and math.isfinite(self.discriminator)


class Trainer:
    """Networks and optimisers of one run.

    Args:
        config: what to train.
        device: where; on CUDA the networks are compiled if `compile` says so.
        rank, world: this process among those that share a batch (`torchrun`); gradients are averaged over all of them.
        start: tensors of the parent at this resolution (`mgi.training.adapted`); None: from scratch.
    """

    def __init__(
        self,
        config: TrainingConfig,
        device: str | torch.device = "cpu",
        rank: int = 0,
        world: int = 1,
        compile: bool = False,
        start: Mapping[str, Tensor] | None = None,
    ) -> None:
        if config.batch % world:
            raise TrainingError(f"batch = {config.batch} does not divide among {world} processes; use a multiple")
        self.config, self.device, self.rank, self.world = config, torch.device(device), rank, world
        self.objective = OBJECTIVES[config.objective]
        self.steps_done = 0
        self._backbone: Backbone | None = None
        channels = default_channels(config.resolution, config.base_channels)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(config.seed, "weights"))
            generator = new_generator(config, channels, start)
            discriminator = self._discriminator(channels)
            encoder = Encoder(channels, config.z_dim) if config.reconstruction else None
        self.generator: Any = generator.to(self.device).to(memory_format=torch.channels_last)
        self.discriminator = discriminator.to(self.device).to(memory_format=torch.channels_last)
        self.encoder = encoder and encoder.to(self.device).to(memory_format=torch.channels_last)
        self.average: Any = copy.deepcopy(self.generator).requires_grad_(False)
        self._players = nn.ModuleList([self.generator, *([self.encoder] if self.encoder is not None else [])])
        betas = (_ADAM_FIRST_MOMENT, config.beta2)
        groups = {
            "generator": parameter_groups(self._players, config),
            "discriminator": parameter_groups(self.discriminator, config),
        }
        self._optimizers = {
            name: torch.optim.Adam(of_player, config.learning_rate, betas, fused=True)
            for name, of_player in groups.items()
        }
        # The penalties differentiate a gradient, which compiled networks cannot.
        self._generate: Any = torch.compile(self.generator) if compile else self.generator
        self._judge: Any = torch.compile(self.discriminator) if compile else self.discriminator
        self._further = FurtherTerms(
            config, self.generator, self._generate, self.encoder, self._features, self._autocast
        )

    @property
    def images_seen(self) -> int:
        """Real images that the discriminator has been shown."""
        return self.steps_done * self.config.batch

    def batches(self, images: int) -> Iterator[list[int]]:
        """Indices of the real images in this process's batches, from the next step on, without end.

        Every epoch has its own permutation; the last images of an epoch that do not fill a batch are left out.
        """
        size, step = self.config.batch, self.steps_done
        per_epoch = images // size
        if not per_epoch:
            raise TrainingError(f"{images} images do not fill a batch of {size}; add more or use a smaller batch")
        while True:
            order = torch.randperm(images, generator=self._random("order", step // per_epoch))
            for position in range(step % per_epoch, per_epoch):
                batch = order[position * size : (position + 1) * size]
                yield batch[self.rank :: self.world].tolist()
                step += 1

    def step(self, real: Tensor) -> Losses:
        """One update of the discriminator and one of the generator.

        Args:
            real: images float [B / world, 3, R, R] in [-1, 1] of this process.
        """
        config, objective = self.config, self.objective
        random = self._random("step", self.steps_done, self.rank)
        real = real.to(self.device).contiguous(memory_format=torch.channels_last)
        if config.flip:
            mirrored = torch.rand(len(real), 1, 1, 1, generator=random).to(real) < 0.5
            real = torch.where(mirrored, real.flip(3), real)
        z = torch.randn(len(real), config.z_dim, generator=random).to(self.device)
        with self._autocast():
            fake = self._generate(z)
        fake = fake.float()

        shown = self._shown(real, random), self._shown(fake.detach(), random)
        # One batch is half the calls, but a group of the minibatch deviation must not hold real and generated images.
        apart = config.deviation and len(real) % GROUP
        with self._autocast():
            logits = torch.cat([self._judge(part).float() for part in (shown if apart else [torch.cat(shown)])])
        real_logits, fake_logits = logits.split(len(real))
        loss = objective.discriminator(real_logits, fake_logits)
        penalty, r1 = self._penalty(*shown, random)
        self._update("discriminator", self.discriminator, loss if penalty is None else loss + penalty)
        if objective.clip is not None:
            clip_weights(self.discriminator, objective.clip)

        self.discriminator.requires_grad_(False)  # saves the gradients of its weights
        its_turn = (self.steps_done + 1) % config.critic_steps == 0 and self.images_seen >= config.head_start
        with self._autocast(), torch.set_grad_enabled(its_turn):
            logits = self._judge(self._shown(fake, random)).float()
        generator_loss = objective.generator(logits)
        if its_turn:
            self._update("generator", self._players, generator_loss + self._further(z, real, fake, random))
        self.discriminator.requires_grad_(True)

        self.steps_done += 1
        self._update_average()
        # One transfer: each would wait for the device.
        numbers = torch.stack([generator_loss, loss, real_logits.mean(), fake_logits.mean()]).detach().tolist()
        return Losses(numbers[0], numbers[1], numbers[2], numbers[3], r1)

    @torch.no_grad()
    def sample(self, z: Tensor, batch: int = 64, truncation: float = 1.0) -> Tensor:
        """Images [B, 3, R, R] from the running average of the generator; only an adapted one can truncate."""
        further = {} if truncation == 1 else {"truncation": truncation}
        return torch.cat([self.average(part.to(self.device), **further).float().cpu() for part in z.split(batch)])

    def export(self, path: Path, card: dict[str, str]) -> None:
        """Write the running average as a generator that everything here loads; see `export_generator`."""
        if isinstance(self.average, Adapted):
            exported = self.average.exported()
            export_generator(path, exported.tensors, {**exported.card, **card}, exported.coarse)
        else:
            tensors = self.average.mganprior_state()
            export_generator(path, tensors, {"architecture": "pggan", "layout": "mganprior", **card})

    def state(self) -> dict[str, Any]:
        """Everything needed to continue the run: tensors, numbers and text, readable with `weights_only=True`."""
        return {
            "format": "mgi-training-1",
            "digest": self.config.digest(),
            "steps_done": self.steps_done,
            **{name: network.state_dict() for name, network in self._networks().items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from `state()`.

        Raises:
            TrainingError: it has another architecture or configuration, or is something else.
        """
        if state.get("format") != "mgi-training-1":
            raise TrainingError("the checkpoint is no training state of mgi; give a folder that this command made")
        try:
            for name, network in self._networks().items():
                network.load_state_dict(state[name])
            for name, optimizer in self._optimizers.items():
                optimizer.load_state_dict(state["optimizers"][name])
            self.steps_done = int(state["steps_done"])
        except (KeyError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:160]
            raise TrainingError(f"the checkpoint has another architecture ({reason}); use its own settings") from None

    def _features(self) -> Backbone:
        if self._backbone is None:
            self._backbone = load_backbone("efficientnet-lite0", self.device)
        return self._backbone

    def _discriminator(self, channels: tuple[int, ...]) -> nn.Module:
        if self.config.discriminator == "residual":
            return Discriminator(channels, self.config.spectral, self.config.deviation)
        backbone = self._features()
        size, patches = self.config.projected_size, self.config.discriminator == "patches"
        return ProjectedDiscriminator(backbone, backbone.layers, size, channels, self.config.deviation, patches)

    def _networks(self) -> dict[str, nn.Module]:
        networks = {"generator": self.generator, "discriminator": self.discriminator, "average": self.average}
        if self.encoder is not None:
            networks["encoder"] = self.encoder
        if self.config.structure and self._further.parent is not None:
            networks["parent"] = self._further.parent  # its fitted image head: fitting it again takes a minute
        return networks

    def _penalty(self, real: Tensor, fake: Tensor, random: torch.Generator) -> tuple[Tensor | None, float | None]:
        config, penalty, r1 = self.config, None, None
        if config.r1 and self.steps_done % config.r1_every == 0:
            size = r1_penalty(self.discriminator, real)
            penalty, r1 = 0.5 * config.r1 * config.r1_every * size, float(size.detach())
        if weight := self.objective.gradient_penalty:
            mix = torch.rand(len(real), generator=random).to(self.device)
            extra = weight * gradient_penalty(self.discriminator, real, fake, mix)
            penalty = extra if penalty is None else penalty + extra
        return penalty, r1

    def _update(self, name: str, network: nn.Module, loss: Tensor) -> None:
        optimizer = self._optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.world > 1:
            gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            dist.all_reduce(flat)
            for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
                gradient.copy_(mean.view_as(gradient) / self.world)
        optimizer.step()

    @torch.no_grad()
    def _update_average(self) -> None:
        half_life = min(self.config.ema_images, self.images_seen / 20)
        keep = 0.5 ** (self.config.batch / half_life)
        torch._foreach_lerp_(list(self.average.parameters()), list(self.generator.parameters()), 1 - keep)

    def _shown(self, images: Tensor, random: torch.Generator) -> Tensor:
        """What the discriminator sees of images: blurred early on, under noise, augmented."""
        config = self.config
        left = 1 - self.images_seen / config.blur_images if config.blur_images else 0.0
        if left > 0:
            images = blurred(images, BLUR * left)
        if config.noise:
            images = images + config.noise * torch.randn(images.shape, generator=random).to(images)
        return augment(images, config.augment, random).contiguous(memory_format=torch.channels_last)

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16) if self.config.precision == "bf16" else nullcontext()

    def _random(self, *purpose: object) -> torch.Generator:
        return torch.Generator().manual_seed(seed_of(self.config.seed, *purpose))
