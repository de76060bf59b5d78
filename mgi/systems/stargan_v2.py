"""StarGAN v2 (Choi et al., CVPR 2020): a picture in the style of a domain, from an exemplar of it or from a code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from pydantic import Field, field_validator
from torch import Tensor

from mgi.losses import l1
from mgi.systems.adversarial import fool, judge
from mgi.systems.base import Batch, Guide, Player, Step, System, SystemConfig, frozen
from mgi.systems.face_alignment import FaceAlignment, read_landmarks
from mgi.systems.stargan_networks import LATENT, Discriminator, Generator, MappingNetwork, StyleEncoder
from mgi.training.objectives import squared_gradient

Masks = tuple[Tensor, Tensor] | None


class StarGANv2Config(SystemConfig):
    """As published: batches of 8, Adam at 0.0001 (0, 0.99) with decay 0.0001, mirrors and windows, average 0.999.

    `width` are the channels that 256 pixels begin with: n pixels begin with width x 256 / n, and nothing has more than
    8 x width.
    """

    batch: int = Field(8, ge=1)
    """Pictures per step."""
    learning_rate: float = Field(1e-4, gt=0)
    """Of Adam, for all networks but the mapping network."""
    mapping_rate: float = Field(1e-6, gt=0)
    """Of Adam, for the mapping network."""
    beta1: float = Field(0.0, ge=0, lt=1)
    """Decay of Adam's first moment."""
    beta2: float = Field(0.99, ge=0, lt=1)
    """Decay of Adam's second moment."""
    weight_decay: float = Field(1e-4, ge=0)
    """Of Adam."""
    ema: float = Field(0.999, ge=0, lt=1)
    """Decay per step of the running average of weights that is kept."""
    windows: float = Field(0.5, ge=0, le=1)
    """Share of pictures that a random window is cut from."""
    r1_weight: float = Field(1.0, ge=0)
    """lambda_reg: of half the squared gradient at real pictures."""
    style_weight: float = Field(1.0, ge=0)
    """lambda_sty of equation 5."""
    diversity_weight: float = Field(1.0, ge=0)
    """lambda_ds of equation 5 at the start; 2 for AFHQ."""
    diversity_steps: int = Field(100_000, ge=1)
    """Steps in which lambda_ds falls linearly to 0; as many as are trained, in the paper."""
    cycle_weight: float = Field(1.0, ge=0)
    """lambda_cyc of equation 5."""
    w_hpf: float = Field(0.0, ge=0)
    """Divides the edges of the source that the decoder gets around eyes, nose and mouth: 1 for CelebA-HQ, 0 (never) for
    AFHQ."""
    landmarks: str = ""
    """The public code's `wing.ckpt`, which says where those are; needed to train with w_hpf above 0."""

    @field_validator("size")
    @classmethod
    def _power_of_two(cls, size: int) -> int:
        if size < 32 or size & (size - 1):
            raise ValueError(f"expected a power of two from 32, found {size}")
        return size


class StarGANv2(System):
    """One generator for all domains, told its style by a mapping network or by a style encoder."""

    name, data, config_type = "stargan-v2", "domains", StarGANv2Config
    kept: tuple[str, ...] = ("generator", "mapping_network", "style_encoder")
    guided = True

    def __init__(self, config: StarGANv2Config, training: bool = True) -> None:
        super().__init__(config, training)
        size, width, domains = config.size, config.width, max(1, len(config.domains))
        self.generator = Generator(size, width, w_hpf=config.w_hpf)
        self.mapping_network = MappingNetwork(domains, 8 * width)
        self.style_encoder = StyleEncoder(size, width, domains)
        self.fan = FaceAlignment() if config.w_hpf else None
        if self.fan is not None:
            self.kept = (*self.kept, "fan")
            if training:
                self.fan.load_state_dict(read_landmarks(config.landmarks))
        if training:
            self.discriminator = Discriminator(size, width, domains)

    def players(self) -> dict[str, Player]:
        """Each network has an optimiser of its own; the mapping network's is a hundred times slower."""
        config = cast("StarGANv2Config", self.config)
        decay = config.weight_decay
        return {
            "generator": Player([self.generator], weight_decay=decay),
            "mapping": Player([self.mapping_network], config.mapping_rate, decay),
            "style": Player([self.style_encoder], weight_decay=decay),
            "discriminator": Player([self.discriminator], weight_decay=decay),
        }

    def learn(self, batch: Batch, step: Step) -> None:
        """The discriminator learns twice, then the generator: with styles of codes, and with styles of exemplars.

        Mapping network and style encoder learn from the codes alone, as in the public code.
        """
        codes = [torch.randn(len(batch.a), LATENT, generator=step.random).to(batch.a) for _ in range(2)]
        masks = self._masks(batch.a)
        self._judge("latent", batch, step, masks, lambda: self.mapping_network(codes[0], batch.b_domain))
        self._judge("reference", batch, step, masks, lambda: self.style_encoder(batch.b, batch.b_domain))
        with frozen(self.discriminator):
            styles = [self.mapping_network(code, batch.b_domain) for code in codes]
            terms = self._terms("latent", batch, styles, step.number, masks)
            step.update(("generator", "mapping", "style"), terms)
        with frozen(self.discriminator, self.style_encoder):
            styles = [self.style_encoder(picture, batch.b_domain) for picture in (batch.b, batch.b2)]
            step.update("generator", self._terms("reference", batch, styles, step.number, masks))

    def _judge(self, guide: str, batch: Batch, step: Step, masks: Masks, style: Callable[[], Tensor]) -> None:
        """Equation 1 and R1 (Mescheder et al. 2018) on the sources."""
        config = cast("StarGANv2Config", self.config)
        with torch.no_grad():
            fake = self.generator(batch.a, style(), masks)
        real = batch.a.detach().requires_grad_()
        logits = self.discriminator(real, batch.a_domain)
        judged = judge("non-saturating", logits, self.discriminator(fake, batch.b_domain))
        penalty = 0.5 * config.r1_weight * squared_gradient(logits, real)
        step.update("discriminator", {f"{guide}_discriminator": judged, f"{guide}_r1": penalty})

    def _terms(
        self, guide: str, batch: Batch, styles: Sequence[Tensor], number: int, masks: Masks = None
    ) -> dict[str, Tensor]:
        """Equations 1 to 4 with the weights of equation 5."""
        config = cast("StarGANv2Config", self.config)
        fake = self.generator(batch.a, styles[0], masks)
        with torch.no_grad():
            other = self.generator(batch.a, styles[1], masks)
        back = self.generator(fake, self.style_encoder(batch.a, batch.a_domain), self._masks(fake))
        again = self.style_encoder(fake, batch.b_domain)
        diversity = config.diversity_weight * max(0.0, 1 - number / config.diversity_steps)
        return {
            f"{guide}_adversarial": fool("non-saturating", self.discriminator(fake, batch.b_domain)),
            f"{guide}_style": config.style_weight * (again - styles[0]).abs().mean(),
            f"{guide}_diversity": -diversity * l1(fake, other).mean(),
            f"{guide}_cycle": config.cycle_weight * l1(back, batch.a).mean(),
        }

    def translate(self, a: Tensor, guide: Guide, random: torch.Generator) -> Tensor:
        """In the style of the exemplar as one of the guide's domain, or of a code drawn from N(0, 1).

        Raises:
            ValueError: the guide lacks a domain or, without `latent`, a picture.
        """
        if guide.domain is None or (guide.picture is None and not guide.latent):
            raise ValueError("stargan-v2: expected a guide with a domain, and a picture unless it is latent")
        domain = guide.domain.expand(len(a))
        if guide.latent or guide.picture is None:
            style = self.mapping_network(torch.randn(len(a), LATENT, generator=random).to(a), domain)
        else:
            style = self.style_encoder(guide.picture, domain)
        found: Tensor = self.generator(a, style, self._masks(a))
        return found

    def _masks(self, pictures: Tensor) -> Masks:
        return None if self.fan is None else self.fan.masks(pictures)
