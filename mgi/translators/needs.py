"""Which networks the translators here load, from what a configuration names."""

from __future__ import annotations

from mgi.config import RunConfig

MEASURED_BY = "vgg16-imagenet"
"""The network that measures every lane (metric `vgg`), whatever it was optimised under."""

LANE_METRICS = ("l2", "vgg")
"""Metrics between a hypothesis and its target, `_before` and `_after` its optimisation."""

Roles = list[tuple[str, str]]
"""(what for, zoo name or file)."""


def warp_networks(config: RunConfig) -> Roles:
    """Networks of the warp, fine-tuned or not."""
    roles: Roles = [("warp", config.warp.backbone)]
    if config.warp.method == "oeft" and config.oeft.style_backbone != "warp":
        roles.append(("style of OEFT", config.oeft.style_backbone))
    return roles


def inversion_networks(config: RunConfig) -> Roles:
    """Networks of a whole search, the generator first."""
    roles: Roles = [("generator", config.generator)]
    if config.task == "translate":
        roles += warp_networks(config)
    if config.inversion.perceptual_weight:
        roles.append(("loss", config.inversion.perceptual_backbone))
    return [*roles, ("measures", MEASURED_BY), ("selection", config.selection.backbone)]
