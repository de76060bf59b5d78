"""Which networks the translators here load, by what a configuration names."""

from __future__ import annotations

from mgi.config import RunConfig

MEASURED_BY = "vgg16-imagenet"
"""What every lane is measured with (the metric `vgg`), whatever it was optimised under."""

LANE_METRICS = ("l2", "vgg")
"""Metrics of a hypothesis to what it was to reach, `_before` and `_after` its optimisation."""

Roles = list[tuple[str, str]]
"""(what for, zoo name or file)."""


def warp_networks(config: RunConfig) -> Roles:
    """Of the warp, fine-tuned or not."""
    roles: Roles = [("warp", config.warp.backbone)]
    if config.warp.method == "oeft" and config.oeft.style_backbone != "warp":
        roles.append(("style of OEFT", config.oeft.style_backbone))
    return roles


def inversion_networks(config: RunConfig) -> Roles:
    """Of a whole search, the generator first."""
    roles: Roles = [("generator", config.generator)]
    if config.task == "translate":
        roles += warp_networks(config)
    if config.inversion.perceptual_weight:
        roles.append(("loss", config.inversion.perceptual_backbone))
    return [*roles, ("measures", MEASURED_BY), ("selection", config.selection.backbone)]
