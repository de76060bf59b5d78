"""UNIT (Liu et al., NeurIPS 2017): both sides share one latent space, which is that of a variational auto-encoder."""

from __future__ import annotations

from typing import Self, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from mgi.systems.autoencoders import AutoencoderConfig, Autoencoders, ContentEncoder, Enlarger
from mgi.systems.base import Batch, Guide, Step
from mgi.systems.layers import ResidualBlock, kaiming_weights
from mgi.systems.two_ways import noise


class UNITConfig(AutoencoderConfig):
    """As published: batches of one, Adam at 0.0001 (0.5, 0.999); weights as the public code, a tenth of the paper's.

    Both have the same ratios, so that under Adam only the decay of weights tells them apart.
    """

    shared: int = Field(1, ge=0, le=16)
    """Residual blocks that both sides have in common: the last of the encoders, the first of the decoders. The later
    public code has none."""
    kl_weight: float = Field(0.01, ge=0)
    """Of the mean squared latent, which is twice its divergence from N(0, 1) up to a constant."""
    cycle_weight: float = Field(10.0, ge=0)
    """Of pictures that are translated there and back."""
    cycle_kl_weight: float = Field(0.01, ge=0)
    """Of the latents on the way back."""

    @model_validator(mode="after")
    def _enough_blocks(self) -> Self:
        if self.shared > self.blocks:
            raise ValueError(f"shared: expected at most the {self.blocks} blocks that there are, found {self.shared}")
        return self


class UNIT(Autoencoders):
    """An auto-encoder for each side; what one encodes, the other decodes."""

    name, config_type = "unit", UNITConfig

    def __init__(self, config: UNITConfig, training: bool = True) -> None:
        super().__init__(config, training)
        self.makers = nn.ModuleDict({"both": shared_coders(config), "a": own_coders(config), "b": own_coders(config)})
        if training:
            self.oppose()

    @property
    def _shared(self) -> Coders:
        return self._of("both")

    def _of(self, side: str) -> Coders:
        found = self.makers[side]
        assert isinstance(found, Coders)
        return found

    def encode(self, x: Tensor, side: str) -> Tensor:
        """Pictures of a side [B, 3, S, S] -> means of latents [B, 4 W, S / 4, S / 4]; their deviation is 1."""
        found: Tensor = self._shared.encoder(self._of(side).encoder(x))
        return found

    def decode(self, latent: Tensor, side: str) -> Tensor:
        """Latents -> pictures of a side."""
        found: Tensor = self._of(side).decoder(self._shared.decoder(latent))
        return found

    def learn(self, batch: Batch, step: Step) -> None:
        """Equations 2 to 6: pictures come back from their latents and from the other side, latents are N(0, 1).

        Discriminators first, as the public code.
        """
        config, a, b = cast("UNITConfig", self.config), batch.a, batch.b

        def drawn(mean: Tensor) -> Tensor:
            return mean + noise(mean, step.random)

        with torch.no_grad():
            latent_a, latent_b = drawn(self.encode(a, "a")), drawn(self.encode(b, "b"))
            fake_a, fake_b = self.decode(latent_b, "a"), self.decode(latent_a, "b")
        self.judge(batch, fake_a, fake_b, step, self.contest_weight)

        mean_a, mean_b = self.encode(a, "a"), self.encode(b, "b")
        latent_a, latent_b = drawn(mean_a), drawn(mean_b)
        fake_a, fake_b = self.decode(latent_b, "a"), self.decode(latent_a, "b")
        again_a, again_b = self.encode(fake_b, "b"), self.encode(fake_a, "a")
        come_back = (self.decode(latent_a, "a"), a), (self.decode(latent_b, "b"), b)
        terms = self.reconstructed("reconstruction", config.reconstruction_weight, *come_back)
        terms |= {"kl_a": config.kl_weight * mean_a.square().mean(), "kl_b": config.kl_weight * mean_b.square().mean()}
        cycled = (self.decode(drawn(again_a), "a"), a), (self.decode(drawn(again_b), "b"), b)
        terms |= self.reconstructed("cycle", config.cycle_weight, *cycled)
        terms |= {
            "cycle_kl_a": config.cycle_kl_weight * again_a.square().mean(),
            "cycle_kl_b": config.cycle_kl_weight * again_b.square().mean(),
        }
        terms |= self.fooled(fake_a, fake_b, self.contest_weight)
        step.update("generators", terms | self.kept_content(a, b, fake_a, fake_b))

    def translate(self, a: Tensor, guide: Guide, random: torch.Generator) -> Tensor:
        """By the means of latents, as the public code; nothing is random."""
        source, target = ("b", "a") if guide.backwards else ("a", "b")
        return self.decode(self.encode(a, source), target)


class Coders(nn.Module):
    """A part of an encoder and of a decoder."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder


def own_coders(config: UNITConfig) -> Coders:
    """What a side has for itself: the encoder up to the shared blocks, and the decoder after them."""
    count = config.blocks - config.shared
    encoder = nn.Sequential(ContentEncoder(3, config.width), _blocks(config, count))
    return Coders(encoder, nn.Sequential(_blocks(config, count), Enlarger(config.width, 3)))


def shared_coders(config: UNITConfig) -> Coders:
    """The encoders' last blocks and the decoders' first."""
    return Coders(_blocks(config, config.shared), _blocks(config, config.shared))


def _blocks(config: UNITConfig, count: int) -> nn.Module:
    return kaiming_weights(nn.Sequential(*(ResidualBlock(4 * config.width) for _ in range(count))))
