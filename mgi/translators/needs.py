"""Which networks the translators here load, from what a configuration names."""

from __future__ import annotations

from mgi.config import RunConfig
from mgi.critics import critic_name
from mgi.translators.descriptors import descriptor_name
from mgi.translators.encoders import encoder_name
from mgi.translators.learning import READS

MEASURED_BY = "vgg16-imagenet"
"""The network that measures every lane (metric `vgg`), whatever it was optimised under."""

LANE_METRICS = ("l2", "vgg")
"""Metrics between a hypothesis and its target, `_before` and `_after` its optimisation."""

Roles = list[tuple[str, str]]
"""(what for, zoo name or file)."""


def warp_networks(config: RunConfig) -> Roles:
    """Networks of the warp, fine-tuned or not."""
    roles: Roles = []
    if config.warp.descriptor != "generator":
        roles.append(("warp", config.warp.backbone))
    if name := descriptor_name(config):
        roles += [("warp", READS), ("matching", name)]
    if config.warp.method == "oeft" and config.oeft.style_backbone != "warp":
        roles.append(("style of OEFT", config.oeft.style_backbone))
    return roles


def loss_networks(config: RunConfig) -> Roles:
    """The network of the perceptual distance, if it weighs anything."""
    settings = config.inversion
    return [("loss", settings.perceptual_backbone)] if settings.perceptual_weight else []


def inversion_networks(config: RunConfig) -> Roles:
    """Networks of a whole search, the generator first."""
    roles: Roles = [("generator", config.generator)]
    if config.task == "translate":
        roles += warp_networks(config)
    if config.inversion.start == "encoder":
        roles.append(
            ("start", encoder_name(config, "encoder", config.inversion.encoder_file, "inversion.encoder_file"))
        )
    chosen: Roles = [("selection", config.selection.backbone)]
    if name := critic_name(config):
        chosen.append(("selection", name))
    return [*roles, *loss_networks(config), ("measures", MEASURED_BY), *chosen]
