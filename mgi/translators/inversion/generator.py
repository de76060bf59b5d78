"""The generator of a configuration, checked and ready, and what its latent space is built from."""

from __future__ import annotations

import copy

from mgi.config import RunConfig
from mgi.devices import Precision
from mgi.generators import Generator, has_bf16, is_styled
from mgi.inversion.coarse import CoarseHead
from mgi.inversion.prior import LatentPrior, measure_prior
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


def latents_of(generator: Generator, config: RunConfig, device: str) -> tuple[LatentPrior | None, CoarseHead | None]:
    """(prior of w, coarse head) as they ship with the generator; else a prior that is measured now if it is needed."""
    path = shipped(config.generator)
    if path is not None:
        prior, head = read_latents(path)
        return prior.to(device), head.to(device)
    if not is_styled(generator) or config.inversion.space in ("z", "w", "w+"):
        return None, None
    prior = measure_prior(lambda z: generator.to_w(z.to(device)).cpu(), generator.z_dim, PRIOR_SAMPLES)
    return prior.to(device), None
