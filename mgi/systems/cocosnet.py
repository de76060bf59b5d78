"""CoCosNet (Zhang et al., CVPR 2020): a picture of a condition in the manner of an exemplar, by learnt correspondence.

Compared term by term with the public code (microsoft/CoCosNet) and its command for edges of faces. Departures: an
exemplar is the picture itself, distorted, or any other one of the training set, where the public lists name a similar
one; the picture itself is mirrored, moved and warped, where the public code mirrors and cuts it anew; the VGG is VGG-16
unless `perceptual_network` says otherwise (published: VGG-19); classes are compared in the warp (`mask_weight`) for all
classes, the first included; the discriminators have no decoder, which the public code makes and never uses.

`matching = patchmatch` matches without all pairs, in the manner of CoCosNet v2: see `mgi.systems.patchmatch`.
"""

from __future__ import annotations

from typing import Literal, Self, cast

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from mgi.losses.contextual import contextual_forward
from mgi.systems.adversarial import feature_matching, fool, judge
from mgi.systems.base import Batch, Guide, Player, Step, System, frozen
from mgi.systems.cocosnet_layers import Attention
from mgi.systems.cocosnet_networks import DOWN, Correspondence, Generator, Shape, warped
from mgi.systems.distortion import distorted
from mgi.systems.matching import Matcher, Matching, cells, full
from mgi.systems.patches import MultiScale
from mgi.systems.patchmatch import CANDIDATES, patchmatcher
from mgi.systems.perception import WEIGHTS, Network, Perception
from mgi.systems.spectral import SpectralPatches, TwoTimeScales, judged_together, logits, spectral, xavier_weights

LAYERS = ("relu1_2", "relu2_2", "relu3_2", "relu4_2", "relu5_2")
"""Of the losses by features; the fourth is that of the perceptual loss."""
CONTEXTUAL = ((2, 2, 2.0), (3, 1, 4.0), (4, 1, 8.0))
"""(which of them, by how much it is made smaller first, weight) of the contextual loss."""
EPSILON = 1e-3
"""Of the generator's Adam."""


class CoCosNetConfig(TwoTimeScales):
    """As published for edges of faces: batches of 32, Adam (0, 0.9) at 0.0001 and 0.0004, falling in the last half."""

    hidden: int = Field(128, ge=4, le=512)
    """Channels between a map and the scales that it decides; 128 as published, fewer for a CPU."""
    other_exemplars: float = Field(0.7, ge=0, le=1)
    """Share of exemplars that are another picture; the others are the picture itself, distorted."""
    distortion: float = Field(0.1, ge=0, le=0.5)
    """How far the picture itself is warped, as a share of its side."""
    matching: Literal["full", "patchmatch"] = "full"
    """All pairs of cells, or candidates by PatchMatch."""
    candidates: int = Field(CANDIDATES, ge=1, le=64)
    """Of each cell, under patchmatch."""
    warp: Literal["bilinear", "nearest", "patches"] = "bilinear"
    """How the warp comes to full size: bilinear (faces), nearest (ADE20K), patches (DeepFashion)."""
    adversarial_weight: float = Field(10.0, ge=0)
    """Of the hinge loss, on both sides."""
    feature_weight: float = Field(10.0, ge=0)
    """Of feature matching in the discriminators."""
    match_weight: float = Field(10.0, ge=0)
    """Of the distance of VGG's features from those of the true picture, where it is its own exemplar."""
    perceptual_weight: float = Field(0.001, ge=0)
    """Of the squared distance of relu4_2 from the true picture's."""
    contextual_weight: float = Field(10.0, ge=0)
    """Of the contextual loss towards the exemplar."""
    alignment_weight: float = Field(10.0, ge=0)
    """Of the distance between the features of condition and picture, which share a domain."""
    cycle_weight: float = Field(1.0, ge=0)
    """Of the exemplar's distance from itself, warped there and back."""
    self_weight: float = Field(0.0, ge=0)
    """Of the warp's distance from the true picture, where it is its own exemplar; 100 for DeepFashion."""
    mask_weight: float = Field(100.0, ge=0)
    """Of the classes that the warp brings, if A are maps of classes."""
    perceptual_network: Network = "vgg16-imagenet"
    """vgg19-imagenet is the published one; it does not ship, `mgi weights fetch vgg19-imagenet` gets it."""

    @model_validator(mode="after")
    def _large_enough(self) -> Self:
        if self.size % 32 or self.size < 64:
            raise ValueError(f"size: expected a multiple of 32 from 64 on, found {self.size}")
        return self

    @property
    def shape(self) -> Shape:
        """Of the networks: with the condition in the matching and with attention, as published."""
        return Shape(self.width, self.inputs, 3, True, False, True, self.hidden)


class CoCosNet(System):
    """Correspondence and generator against two patch discriminators that also see the condition."""

    name, data, config_type = "cocosnet", "pairs", CoCosNetConfig
    kept = ("correspondence", "generator")
    guided = True

    def __init__(self, config: CoCosNetConfig, training: bool = True) -> None:
        super().__init__(config, training)
        self.correspondence = Correspondence(config.shape, spectral)
        self.generator = Generator(config.shape, spectral)
        xavier_weights(self.correspondence), xavier_weights(self.generator)
        if training:
            self.discriminator = MultiScale([critic(config) for _ in range(2)])
            self._perception = Perception(config.perceptual_network)

    def players(self) -> dict[str, Player]:
        """Both networks that translate, and the discriminators, at two time scales."""
        rate = self.config.learning_rate
        return {
            "generator": Player([self.correspondence, self.generator], rate / 2, epsilon=EPSILON),
            "discriminator": Player([self.discriminator], 2 * rate),
        }

    def learn(self, batch: Batch, step: Step) -> None:
        """Equations 5 to 11 as the public code weighs them."""
        config = cast("CoCosNetConfig", self.config)
        exemplar, condition, own = self._exemplars(batch, step.random)
        features, of_exemplar = self.correspondence.of_condition(batch.a), self.correspondence.of_picture(exemplar)
        matching = self.correspondence.match(features, batch.a, of_exemplar, condition, self._matcher(step.random))
        warp = warped(matching, exemplar, config.warp)
        fake = self.generator(warp, batch.a)
        aligned = (features - self.correspondence.of_picture(batch.b)).abs().mean()
        terms = {
            "alignment": config.alignment_weight * aligned,
            **self._of_matching(matching, batch, exemplar, condition),
        }
        if config.self_weight:
            terms["self"] = config.self_weight * ((warp - batch.b).abs() * _shares(own)).mean()
        with frozen(self.discriminator):
            of_fake, of_real = judged_together(self.discriminator, batch.a, fake, batch.b)
            terms["adversarial"] = config.adversarial_weight * fool("hinge", logits(of_fake))
            terms["features"] = config.feature_weight * feature_matching(of_real, of_fake)
            terms |= self._of_features(fake, batch.b, exemplar, own)
            step.update("generator", terms)
        of_fake, of_real = judged_together(self.discriminator, batch.a, fake.detach(), batch.b)
        judged = config.adversarial_weight * judge("hinge", logits(of_real), logits(of_fake))
        step.update("discriminator", {"discriminator": judged})

    def translate(self, a: Tensor, guide: Guide, random: torch.Generator) -> Tensor:
        """The exemplar warped to the condition and repaired; `random` draws the search of patchmatch."""
        found: Tensor = self.generator(self.warp(a, guide, random), a)
        return found

    def warp(self, a: Tensor, guide: Guide, random: torch.Generator, matching: str = "") -> Tensor:
        """The exemplar warped to the condition [B, 3, S, S]; `matching` overrules the configuration."""
        assert guide.picture is not None and guide.condition is not None
        config = cast("CoCosNetConfig", self.config)
        matcher = self._matcher(random, matching)
        found: Tensor = self.correspondence(a, guide.picture, guide.condition, config.warp, matcher)
        return found

    def _matcher(self, random: torch.Generator, matching: str = "") -> Matcher:
        config = cast("CoCosNetConfig", self.config)
        return full if (matching or config.matching) == "full" else patchmatcher(random, config.candidates)

    def _exemplars(self, batch: Batch, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """(exemplars, their conditions, [B] 1 where the exemplar is the picture itself)."""
        config = cast("CoCosNetConfig", self.config)
        picture, condition = distorted(batch.b, batch.a, config.distortion, bool(config.labels), random)
        own = (torch.rand(len(batch.b), generator=random) >= config.other_exemplars).to(batch.b.device)
        chosen = own[:, None, None, None]
        return torch.where(chosen, picture, batch.b2), torch.where(chosen, condition, batch.a2), own.float()

    def _of_matching(self, matching: Matching, batch: Batch, exemplar: Tensor, condition: Tensor) -> dict[str, Tensor]:
        """Regularisation of the correspondence: there and back; and the classes that it brings."""
        config, terms = cast("CoCosNetConfig", self.config), {}
        if config.cycle_weight:
            small = cells(exemplar, DOWN)
            there_and_back = matching.back(matching.carry(small))
            terms["cycle"] = config.cycle_weight * (there_and_back - small).abs().mean()
        if config.labels and config.mask_weight:
            of_exemplar, wanted = (x[:, :, ::DOWN, ::DOWN].flatten(2).transpose(1, 2) for x in (condition, batch.a))
            brought = matching.carry(of_exemplar)
            known = (of_exemplar.amax(1, keepdim=True) * wanted).sum(2)  # 0 where the exemplar lacks the class
            missed = -torch.log((brought * wanted).sum(2) + 1e-10) * known
            terms["mask"] = config.mask_weight * missed.sum() / (known.sum() + 1e-5)
        return terms

    def _of_features(self, fake: Tensor, real: Tensor, exemplar: Tensor, own: Tensor) -> dict[str, Tensor]:
        """Losses by VGG's features, on the scale of pixels from 0 to 255."""
        config, terms = cast("CoCosNetConfig", self.config), {}
        if not (config.match_weight or config.perceptual_weight or config.contextual_weight):
            return {}
        with torch.no_grad():
            of_real, of_exemplar = self._perception(real, LAYERS), self._perception(exemplar, LAYERS)
        of_fake, shares = self._perception(fake, LAYERS), _shares(own)
        matched = [
            weight * ((x - y).abs() * shares).mean() for weight, x, y in zip(WEIGHTS, of_fake, of_real, strict=True)
        ]
        terms["match"] = config.match_weight * torch.stack(matched).sum()
        terms["perceptual"] = config.perceptual_weight * (of_fake[3] - of_real[3]).square().mean()
        contextual = [
            weight
            * contextual_forward(F.avg_pool2d(of_fake[layer], down), F.avg_pool2d(of_exemplar[layer], down)).mean()
            for layer, down, weight in CONTEXTUAL
        ]
        terms["contextual"] = config.contextual_weight * torch.stack(contextual).sum()
        return terms


def critic(config: CoCosNetConfig) -> SpectralPatches:
    """One discriminator; for 15 channels and 64 of width two have 5,722,244 parameters, as the public code uses."""
    attention = Attention(4 * config.width, spectral)
    return SpectralPatches(config.inputs + 3, config.width, padding=1, attention=attention)


def _shares(own: Tensor) -> Tensor:
    """Weights [B, 1, 1, 1] that sum to 1 over the pictures that are their own exemplars."""
    return (own / (own.sum() + 1e-5))[:, None, None, None]
