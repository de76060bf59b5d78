"""The generator of a configuration, checked and ready, with the latent space of its inversion."""

from __future__ import annotations

from typing import Any

from mgi.config import ConfigError, RunConfig
from mgi.generators import load as load_generator
from mgi.inversion.prior import measure_prior
from mgi.inversion.spaces import Space, build_space, check_layer
from mgi.statistics import shipped
from mgi.statistics.latents import read_latents

PRIOR_SAMPLES = 20_000
"""Latents that measure the prior of a generator that none ships for: seconds, and enough for 512 dimensions."""


def prepared_generator(config: RunConfig, device: str) -> Any:
    """The generator on its device, in the configured precision.

    Raises:
        ConfigError: it lacks that precision, or a layer that a hypothesis composes at.
    """
    generator: Any = load_generator(config.generator, device)
    if config.inversion.precision == "bf16":
        if not hasattr(generator, "set_precision"):
            raise ConfigError(f"{config.generator} computes in fp32 only; set inversion.precision to fp32")
        generator.set_precision("bf16")
    check_layer(config.inversion, generator.layers, config.generator)
    return generator


def space_of(generator: Any, config: RunConfig, device: str) -> Space:
    """The latent space, with the prior of w that ships for the generator or is measured now."""
    settings = config.inversion
    path = shipped(config.generator)
    if path is not None:
        prior, head = read_latents(path)
        return build_space(generator, settings, prior.to(device), head.to(device))
    to_w = getattr(generator, "to_w", None)
    if to_w is None or settings.space in ("z", "w", "w+"):
        return build_space(generator, settings)
    prior = measure_prior(lambda z: to_w(z.to(device)).cpu(), generator.z_dim, PRIOR_SAMPLES)
    return build_space(generator, settings, prior.to(device))


def working_size(config: RunConfig, resolution: int) -> int:
    """Rows at which results are compared with warps: the smaller of both.

    Features want more pixels than a small generator makes, so a warp may be larger than the images; it is then averaged
    down.

    Raises:
        ConfigError: neither divides the other.
    """
    size = config.warp.image_size
    if max(resolution, size) % min(resolution, size):
        raise ConfigError(
            f"warp.image_size = {size} neither divides the resolution {resolution} of {config.generator} "
            f"nor is a multiple of it; set it to {resolution} or half or twice that"
        )
    return min(size, resolution)
