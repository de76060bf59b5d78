"""One training of an encoder as an object; a step depends on nothing but its number and its batch."""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.encoders.codes import Codes, render
from mgi.generators import Generator
from mgi.images import resize
from mgi.losses.divergences import DIVERGENCES, discrepancy
from mgi.losses.perceptual import perceptual_unit
from mgi.training.encoders.averages import update_average
from mgi.training.encoders.comparison import LAYERS, Comparison
from mgi.training.encoders.config import EncoderConfig
from mgi.training.encoders.networks import Auxiliary, LatentDiscriminator, new_encoder
from mgi.training.encoders.steps import Batch, EncoderLosses, check_state, coarse_head, new_optimizer
from mgi.training.errors import TrainingError
from mgi.training.objectives import r1_penalty

ADVERSARY_RATE, ADVERSARY_R1, R1_EVERY = 2e-5, 10.0, 16
"""As e4e's public code has them."""
FORMAT = "mgi-encoder-training-1"


class EncoderTrainer:
    """Networks and optimisers of one run.

    Args:
        config: what to train.
        generator: frozen, on the device.
        codes: its coordinates (`measure_codes`).
        device: where.
    """

    def __init__(
        self, config: EncoderConfig, generator: Generator, codes: Codes, device: str | torch.device = "cpu"
    ) -> None:
        self.config, self.generator, self.device = config, generator, torch.device(device)
        self.steps_done = 0
        self.codes = codes.to(device)
        self.comparison = Comparison(config, self.device)
        self.features = self.comparison.features
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            encoder = new_encoder(config, codes)
            adversary = LatentDiscriminator(generator.z_dim) if config.adversary_weight else None
        self.encoder = encoder.to(self.device).train()
        self.average = copy.deepcopy(self.encoder).requires_grad_(False).eval()
        self.adversary = adversary and adversary.to(self.device)
        compares = config.adapts and config.discrepancy_weight > 0
        self.auxiliary = Auxiliary(self.features, config.seed).to(self.device) if compares else None
        self._optimizers = self._new_optimizers()
        self._head = coarse_head(config, generator, self.device)

    # ------------------------------------------------------------------ a step

    def step(self, batch: Batch) -> EncoderLosses:
        """One update of the encoder (equation 3 under `--adapt`), after the auxiliary network's and the adversary's."""
        terms: dict[str, Tensor] = {}
        config, seen = self.config, self._pictures(batch)
        parts = [part for part in (batch.known and batch.known[0], batch.real) if part is not None]
        if not parts:
            raise TrainingError("a step needs pictures of the source domain")
        pictures = torch.cat(parts).to(self.device)
        found = self.coordinates(pictures)
        if batch.whole is not None:
            pictures = torch.cat([batch.whole, *([batch.real] if batch.real is not None else [])]).to(self.device)
        if batch.known is not None and config.latent_weight:
            known = batch.known[1].to(self.device)
            terms["latent"] = config.latent_weight * (found[: len(known)] - known).square().mean()
        if config.delta_weight and self.codes.rows > 1:
            deltas = (found[:, 1:] - found[:, :1]).norm(dim=2).mean(0).sum()
            terms["delta"] = config.delta_weight * deltas
        if config.pictures:
            shown = self._render(found[seen])
            terms |= self.comparison.terms(shown, pictures[seen])
            if self.auxiliary is not None and batch.target is not None:
                target = self._render(self.coordinates(batch.target[: len(seen)].to(self.device)))
                self._ascend(shown.detach(), target.detach())
                terms["discrepancy"] = config.discrepancy_weight * self._discrepancy(shown, target)
        if self.adversary is not None:
            terms["adversary"] = config.adversary_weight * self._adversary(self.codes.latents(found))
        loss = torch.stack(list(terms.values())).sum()
        self._update("encoder", loss)
        self.steps_done += 1
        images = self.steps_done * config.batch
        update_average(self.average, self.encoder, images, config.batch, config.ema_images)
        values = torch.stack([loss, *terms.values()]).detach().tolist()
        return EncoderLosses(dict(zip(("loss", *terms), values, strict=True)))

    def coordinates(self, pictures: Tensor) -> Tensor:
        """[B, 3, s, s] -> coordinates [B, rows, K]; rows whose turn has not come yet are the first one."""
        found: Tensor = self.encoder(pictures)
        free = self.steps_done // self.config.progressive if self.config.progressive else self.codes.rows
        if free >= self.codes.rows - 1:
            return found
        return torch.cat([found[:, : free + 1], found[:, :1].expand(-1, self.codes.rows - free - 1, -1)], dim=1)

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """Coordinates by the running average, which is what is kept."""
        found: Tensor = self.average(pictures.to(self.device))
        return found

    @torch.no_grad()
    def reconstruct(self, pictures: Tensor) -> Tensor:
        """Pictures [B, 3, s, s] by way of the running average and the generator, clipped."""
        return self._render(self.encode(pictures)).clamp(-1, 1)

    @torch.no_grad()
    def errors(self, found: Tensor, pictures: Tensor) -> dict[str, Tensor]:
        """See `Comparison.errors`."""
        return self.comparison.errors(found, pictures.to(self.device))

    # ------------------------------------------------------------------ terms

    def _pictures(self, batch: Batch) -> list[int]:
        """Rows of the source batch that are rendered: as many known as real ones, if there are both."""
        known = len(batch.known[0]) if batch.known is not None else 0
        real = len(batch.real) if batch.real is not None else 0
        of_known = min(known, self.config.pictures // 2 if real else self.config.pictures)
        return [*range(of_known), *range(known, known + min(real, self.config.pictures - of_known))]

    def _render(self, coordinates: Tensor) -> Tensor:
        size = self.config.size
        return resize(render(self.generator, self.codes.latents(coordinates), size, self._head), size)

    def _distances(self, images: Tensor) -> Tensor:
        """l(h, h') of equation 7: the perceptual distance between features of the network and of the auxiliary one."""
        assert self.auxiliary is not None
        return perceptual_unit(self.auxiliary(images, LAYERS), self.features(images, LAYERS))

    def _discrepancy(self, source: Tensor, target: Tensor) -> Tensor:
        both = self._distances(torch.cat([source, target]))
        return discrepancy(both[: len(source)], both[len(source) :], DIVERGENCES[self.config.divergence])

    def _ascend(self, source: Tensor, target: Tensor) -> None:
        """Step 2 of Algorithm 1."""
        self._update("auxiliary", -self._discrepancy(source, target))

    def _adversary(self, latents: Tensor) -> Tensor:
        """One step of the discriminator of latents, and what the encoder loses against it."""
        assert self.adversary is not None
        random = torch.Generator().manual_seed((self.config.seed << 32) + self.steps_done)
        fake = latents.flatten(0, 1)
        z = torch.randn(len(fake), self.generator.z_dim, generator=random).to(self.device)
        with torch.no_grad():
            own = self.generator.to_w(z) if self.codes.styles else z  # type: ignore[attr-defined]
        loss = F.softplus(-self.adversary(own)).mean() + F.softplus(self.adversary(fake.detach())).mean()
        if self.steps_done % R1_EVERY == 0:
            loss = loss + 0.5 * ADVERSARY_R1 * R1_EVERY * r1_penalty(self.adversary, own)
        self._update("adversary", loss)
        self.adversary.requires_grad_(False)
        against = F.softplus(-self.adversary(fake)).mean()
        self.adversary.requires_grad_(True)
        return against

    # ------------------------------------------------------------------ keeping

    def state(self) -> dict[str, Any]:
        """Everything needed to continue the run: tensors, numbers and text, readable with `weights_only=True`."""
        return {
            "format": FORMAT,
            "digest": self.config.digest(),
            "steps_done": self.steps_done,
            **{name: network.state_dict() for name, network in self._networks().items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from `state()`.

        Raises:
            TrainingError: it is another training's, or something else.
        """
        check_state(state, FORMAT, self.config)
        for name, network in self._networks().items():
            network.load_state_dict(state[name])
        for name, optimizer in self._optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.steps_done = int(state["steps_done"])

    def _networks(self) -> dict[str, nn.Module]:
        further = {"auxiliary": self.auxiliary, "adversary": self.adversary}
        present = {name: network for name, network in further.items() if network is not None}
        return {"encoder": self.encoder, "average": self.average, **present}

    def _new_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        config = self.config
        body = getattr(self.encoder, "body", None) if config.arch == "small" else None
        in_body = {id(p) for p in body.parameters()} if body is not None else set()
        groups: list[dict[str, Any]] = [
            {"params": [p for p in self.encoder.parameters() if id(p) not in in_body], "lr": config.learning_rate},
        ]
        if body is not None and config.body_rate:
            groups.append({"params": list(body.parameters()), "lr": config.learning_rate * config.body_rate})
        found = {"encoder": new_optimizer(config, groups)}
        if self.auxiliary is not None:
            found["auxiliary"] = torch.optim.Adam(self.auxiliary.parameters(), config.auxiliary_rate, (0.5, 0.99))
        if self.adversary is not None:
            found["adversary"] = torch.optim.Adam(self.adversary.parameters(), ADVERSARY_RATE)
        return found

    def _update(self, name: str, loss: Tensor) -> None:
        optimizer = self._optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
