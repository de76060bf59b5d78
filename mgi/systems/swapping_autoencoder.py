"""Swapping Autoencoder (Park et al., NeurIPS 2020): the structure of one picture with the texture of another."""

from __future__ import annotations

from typing import cast

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from mgi.losses import l1
from mgi.systems.adversarial import fool, judge
from mgi.systems.base import Batch, Guide, Player, Step, System, SystemConfig, frozen
from mgi.systems.swapping_discriminators import ImageDiscriminator, PatchDiscriminator, random_patches
from mgi.systems.swapping_networks import Encoder, Generator, Shape
from mgi.training.objectives import squared_gradient

PUBLISHED_HALVINGS, PUBLISHED_PATCH = 4, 128


class SwappingConfig(SystemConfig):
    """As the public code: batches of 16, Adam at 0.002 (0, 0.99), mirrors, no running average.

    A step is one of the discriminators on a batch and one of encoder and generator on another, as theirs alternate.
    """

    size: int = Field(256, ge=32, le=1024)
    """Rows and columns of the pictures: a power of two."""
    width: int = Field(32, ge=4, le=512)
    """Channels that the encoder begins with; 32 as published, fewer for a CPU."""
    batch: int = Field(16, ge=2)
    """Pictures per step, an even number: they are swapped by twos."""
    learning_rate: float = Field(2e-3, gt=0)
    """Of Adam; the discriminators' is 16 / 17 of it for R1 in every sixteenth step (StyleGAN2, appendix B)."""
    beta1: float = Field(0.0, ge=0, lt=1)
    """Decay of Adam's first moment."""
    beta2: float = Field(0.99, ge=0, lt=1)
    """Decay of Adam's second moment."""
    halvings: int = Field(0, ge=0, le=8)
    """Halvings towards the structure; 0: 4, or as many fewer as leave it eight rows in small pictures."""
    image_capacity: float = Field(1.0, ge=0.125, le=4)
    """Channels of the discriminator of pictures, relative to the published ones; 0.25 is quick in small pictures."""
    l1_weight: float = Field(1.0, ge=0)
    """Of the reconstruction."""
    image_weight: float = Field(1.0, ge=0)
    """Of what the discriminator of pictures says."""
    patch_weight: float = Field(1.0, ge=0)
    """Of what the discriminator of patches says."""
    r1_weight: float = Field(10.0, ge=0)
    """Of half the squared gradient at real pictures."""
    patch_r1_weight: float = Field(1.0, ge=0)
    """Of a quarter of the squared gradient at real patches; 10 for mountains."""
    r1_every: int = Field(16, ge=1)
    """Steps between two of R1, which then counts as much more."""
    patches: int = Field(8, ge=1)
    """Patches of each picture."""
    patch_size: int = Field(0, ge=0, le=512)
    """Rows that patches are sampled with, a power of two from 8; 0: 128, or half of a picture if that is less."""
    patches_together: bool = True
    """Whether references are judged by the mean of their features; False for churches."""

    @field_validator("size", "patch_size")
    @classmethod
    def _power_of_two(cls, rows: int) -> int:
        if rows & (rows - 1) or rows in (1, 2, 4):
            raise ValueError(f"expected a power of two from 8, found {rows}")
        return rows

    @model_validator(mode="after")
    def _even(self) -> SwappingConfig:
        if self.batch % 2:
            raise ValueError(f"batch: expected an even number, found {self.batch}")
        if self.size < 8 * 2**self.halvings:
            raise ValueError(f"halvings: expected at most {self.size.bit_length() - 4}, found {self.halvings}")
        return self

    @property
    def shape(self) -> Shape:
        """Of encoder and generator."""
        fitting = self.size.bit_length() - 4  # the texture's two layers without padding need 7 rows of features
        return Shape.published(self.width, self.halvings or min(PUBLISHED_HALVINGS, fitting))

    @property
    def patch_rows(self) -> int:
        """Rows of patches as they are judged."""
        return self.patch_size or min(PUBLISHED_PATCH, self.size // 2)


class SwappingAutoencoder(System):
    """An encoder to two codes, a generator from them, and two discriminators; named as in the public code."""

    name, data, kept, config_type = "swapping-autoencoder", "folder", ("E", "G"), SwappingConfig
    guided = True

    def __init__(self, config: SwappingConfig, training: bool = True) -> None:
        super().__init__(config, training)
        self.shape = config.shape
        self.E, self.G = Encoder(self.shape), Generator(self.shape)
        if training:
            self.D = ImageDiscriminator(config.size, config.width, config.image_capacity)
            self.Dpatch = PatchDiscriminator(config.patch_rows, config.width)

    def players(self) -> dict[str, Player]:
        """Encoder and generator, and both discriminators, whose Adam allows for R1 in few steps alone."""
        config = cast("SwappingConfig", self.config)
        share = config.r1_every / (1 + config.r1_every)
        betas = config.beta1**share, config.beta2**share
        return {
            "generator": Player([self.E, self.G]),
            "discriminator": Player([self.D, self.Dpatch], config.learning_rate * share, betas=betas),
        }

    def learn(self, batch: Batch, step: Step) -> None:
        """The discriminators on one draw of pictures, then encoder and generator on another (equations 1 to 4)."""
        config = cast("SwappingConfig", self.config)
        self._judge(batch.b, step)
        if (step.number + 1) % config.r1_every == 0:
            step.update("discriminator", {"r1": config.r1_every * self._r1(batch.b, step.random)})
        with frozen(self.D, self.Dpatch):
            step.update("generator", self._told(batch.b2, step.random))

    def _made(self, real: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Half of the pictures again, and all with the structure of their neighbour."""
        structure, texture = self.E(real)
        half = len(real) // 2
        again = self.G(structure[:half], texture[:half], random)
        return again, self.G(structure.unflatten(0, (half, 2)).flip(1).flatten(0, 1), texture, random)

    def _judge(self, real: Tensor, step: Step) -> None:
        config = cast("SwappingConfig", self.config)
        with torch.no_grad():
            again, mixed = self._made(real, step.random)
        logits = self.D(real)
        each = [judge("non-saturating", logits, self.D(fake)) for fake in (again, mixed)]
        patches = [self._patches(pictures, step.random) for pictures in (real, real, mixed)]
        references = self.Dpatch.features(patches[0], config.patches_together)
        own, other = (self.Dpatch(references, self.Dpatch.features(them)) for them in patches[1:])
        terms = {
            "discriminator": config.image_weight * 0.5 * (each[0] + each[1]),
            "patch_discriminator": config.patch_weight * judge("non-saturating", own, other),
        }
        step.update("discriminator", terms)

    def _r1(self, real: Tensor, random: torch.Generator) -> Tensor:
        config = cast("SwappingConfig", self.config)
        images = real.detach().requires_grad_()
        of_pictures = squared_gradient(self.D(images), images)
        both = torch.cat([self._patches(real, random) for _ in range(2)], 1).requires_grad_()
        first, second = both.chunk(2, 1)
        references = self.Dpatch.features(first, config.patches_together)
        of_patches = squared_gradient(self.Dpatch(references, self.Dpatch.features(second)), both)
        return 0.5 * config.r1_weight * of_pictures + 0.25 * config.patch_r1_weight * of_patches

    def _told(self, real: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        config = cast("SwappingConfig", self.config)
        again, mixed = self._made(real, random)
        with torch.no_grad():
            references = self.Dpatch.features(self._patches(real, random), config.patches_together)
        together = self.Dpatch(references, self.Dpatch.features(self._patches(mixed, random)))
        fooled = [fool("non-saturating", self.D(pictures)) for pictures in (again, mixed)]
        return {
            "l1": config.l1_weight * l1(again, real[: len(again)]).mean(),
            "adversarial": config.image_weight * (0.5 * fooled[0] + fooled[1]),
            "patches": config.patch_weight * fool("non-saturating", together),
        }

    def _patches(self, pictures: Tensor, random: torch.Generator) -> Tensor:
        config = cast("SwappingConfig", self.config)
        return random_patches(pictures, config.patches, config.patch_rows, random)

    def translate(self, a: Tensor, guide: Guide, random: torch.Generator) -> Tensor:
        """The structure of A with the texture of the exemplar; `random` draws the generator's noise.

        Raises:
            ValueError: there is no exemplar.
        """
        if guide.picture is None:
            raise ValueError("swapping-autoencoder: expected a guide with a picture")
        structure, _ = self.E(a)
        _, texture = self.E(guide.picture)
        found: Tensor = self.G(structure, texture, random)
        return found
