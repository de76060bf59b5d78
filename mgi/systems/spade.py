"""SPADE (Park et al., CVPR 2019), SEAN (Zhu et al., CVPR 2020) and panoptic-aware synthesis (Dundar et al., CVPR 2020).

A picture from a map of classes; one system, because they share generator, discriminators and losses. Departures from
the public code (NVlabs/SPADE, ZPdesu/SEAN): the discriminator judges the pictures of the generator's step, which the
public code makes again after it; the VGG of the perceptual loss is VGG-16 unless `perceptual_network` says otherwise
(published: VGG-19), and it sees pictures normalised as it was trained on, where the public code feeds [-1, 1].
Instances are the connected regions of classes, and there is no map of their borders (the public code's --no_instance).
Of panoptic-aware synthesis no code is public: every 3 x 3 convolution of features heeds instances, those from a map of
classes to scales do not, and a place looks for its instance in the 3 x 3 cells around it.
"""

from __future__ import annotations

from typing import Self, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor

from mgi.systems.adversarial import feature_matching, fool, judge
from mgi.systems.base import Batch, Guide, Player, Step, System, frozen
from mgi.systems.patches import MultiScale
from mgi.systems.perception import Network, Perception
from mgi.systems.spade_networks import Generator, Normalization, Scene, Sizes, identity_of
from mgi.systems.spectral import SpectralPatches, TwoTimeScales, judged_together, logits

DISCRIMINATORS = 2


class SpadeConfig(TwoTimeScales):
    """As published for ADE20K: batches of 32, Adam (0, 0.9) at 0.0001 and 0.0004; rates fall in the last half."""

    normalization: Normalization = "spade"
    """spade; sean: with a style for every region of an exemplar; panoptic: layers that heed instances."""
    doublings: int = Field(5, ge=5, le=7)
    """From the smallest features to the picture: 5, 6 or 7, the public code's normal, more and most."""
    hidden: int = Field(128, ge=4, le=512)
    """Channels between the map and the scales that it decides; 128 as published, fewer for a CPU."""
    style: int = Field(512, ge=4, le=1024)
    """Length of SEAN's style codes; 512 as published."""
    feature_weight: float = Field(10.0, ge=0)
    """Of feature matching."""
    perceptual_weight: float = Field(10.0, ge=0)
    """Of the perceptual loss; 0: none."""
    perceptual_network: Network = "vgg16-imagenet"
    """vgg19-imagenet is the published one; it does not ship, `mgi weights fetch vgg19-imagenet` gets it."""

    @property
    def needs_labels(self) -> bool:
        """Regions and instances are those of classes."""
        return self.normalization != "spade"

    @model_validator(mode="after")
    def _large_enough(self) -> Self:
        start = self.size >> self.doublings
        if self.size % 2**self.doublings or start * start * self.batch < 2:
            raise ValueError(
                f"size: expected a multiple of {2**self.doublings} and more than one place of smallest features in a "
                f"batch, found {self.size} and batches of {self.batch}"
            )
        return self


class Spade(System):
    """SPADE's generator against two patch discriminators that also see the map."""

    name, data, kept, config_type = "spade", "pairs", ("generator",), SpadeConfig

    def __init__(self, config: SpadeConfig, training: bool = True) -> None:
        super().__init__(config, training)
        self.guided = config.normalization == "sean"
        self.has_truth = not self.guided
        sizes = Sizes(config.inputs, config.width, config.hidden, config.style, config.normalization)
        self.generator = Generator(sizes, config.doublings)
        if training:
            flat = config.normalization != "sean"
            each = [SpectralPatches(config.inputs + 3, config.width, flat=flat) for _ in range(DISCRIMINATORS)]
            self.discriminator = MultiScale(each)
            self._perception = Perception(config.perceptual_network)

    def players(self) -> dict[str, Player]:
        """Generator and discriminators, at two time scales."""
        rate = self.config.learning_rate
        return {
            "generator": Player([self.generator], rate / 2),
            "discriminator": Player([self.discriminator], 2 * rate),
        }

    def learn(self, batch: Batch, step: Step) -> None:
        """Hinge loss, feature matching and perceptual loss; SEAN's styles are those of the picture itself."""
        config = cast("SpadeConfig", self.config)
        fake = self.generator(self._scene(batch.a, batch.b, batch.a, step.random))
        with frozen(self.discriminator):
            of_fake, of_real = judged_together(self.discriminator, batch.a, fake, batch.b)
            terms = {
                "adversarial": fool("hinge", logits(of_fake)),
                "features": config.feature_weight * feature_matching(of_real, of_fake),
            }
            if config.perceptual_weight:
                terms["perceptual"] = config.perceptual_weight * self._perception.distance(fake, batch.b)
            step.update("generator", terms)
        of_fake, of_real = judged_together(self.discriminator, batch.a, fake.detach(), batch.b)
        step.update("discriminator", {"discriminator": judge("hinge", logits(of_real), logits(of_fake))})

    def translate(self, a: Tensor, guide: Guide, random: torch.Generator) -> Tensor:
        """SEAN takes the styles of the exemplar's regions; a class that the exemplar lacks has the code 0."""
        found: Tensor = self.generator(self._scene(a, guide.picture, guide.condition, random))
        return found

    def _scene(self, a: Tensor, picture: Tensor | None, condition: Tensor | None, random: torch.Generator) -> Scene:
        kind = cast("SpadeConfig", self.config).normalization
        if kind == "sean":
            assert picture is not None and condition is not None
            return Scene(a, codes=self.generator.encoder(picture, condition), random=random)
        return Scene(a, identity=identity_of(a) if kind == "panoptic" else None)
