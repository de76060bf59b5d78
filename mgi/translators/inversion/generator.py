"""The generator of a configuration, checked and ready, and the latent space to invert in."""

from __future__ import annotations

import copy

from mgi.config import RunConfig
from mgi.devices import Precision
from mgi.generators import Generator, has_bf16, is_styled
from mgi.inversion.prior import measure_prior
from mgi.inversion.spaces import Space, build_space
from mgi.statistics import shipped
from mgi.statistics.latents import read_latents
from mgi.translators.inversion.compatibility import facts_of, require_compatible
from mgi.weights import load_generator

PRIOR_SAMPLES = 20_000
"""Latents to measure a prior with, if none ships for the generator: takes seconds, and is enough for 512 dimensions."""


def prepared_generator(config: RunConfig, device: str) -> Generator:
    """The generator on its device, in fp32.

    Raises:
        ConfigError: it and the settings cannot work together; every problem is named.
    """
    generator = load_generator(config.generator, device)
    require_compatible(config, facts_of(generator, config.generator))
    return generator


def searching_generator(generator: Generator, precision: Precision) -> Generator:
    """What gradients are taken through: the generator, or a copy of it in bf16. Results are rendered by the first."""
    return copy.deepcopy(generator).set_precision("bf16") if precision == "bf16" and has_bf16(generator) else generator


def space_of(generator: Generator, config: RunConfig, device: str) -> Space:
    """The latent space, with the prior of w that ships with the generator or is measured now."""
    settings = config.inversion
    path = shipped(config.generator)
    if path is not None:
        prior, head = read_latents(path)
        return build_space(generator, settings, prior.to(device), head.to(device))
    if not is_styled(generator) or settings.space in ("z", "w", "w+"):
        return build_space(generator, settings)
    prior = measure_prior(lambda z: generator.to_w(z.to(device)).cpu(), generator.z_dim, PRIOR_SAMPLES)
    return build_space(generator, settings, prior.to(device))
