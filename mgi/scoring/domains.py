"""The domain that a configuration compares with, and its statistics: shipped, saved earlier, or measured now."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_cache_path

from mgi.config import RunConfig
from mgi.features import Backbone
from mgi.generators import Generator
from mgi.metrics.bands import SAMPLES, DetailStatistics, build_detail, cached_detail, read_detail
from mgi.metrics.domain import (
    COMPONENTS,
    DomainStatistics,
    build_statistics,
    cache_path,
    cached_statistics,
    load_statistics,
)
from mgi.metrics.locations import GRID
from mgi.metrics.samples import DOMAIN_SEED, folder_images, generated_images
from mgi.own_files import domain_files, folder_sha256
from mgi.statistics import SHIPPED_SIZE, shipped, shipped_detail
from mgi.weights import zoo
from mgi.weights.identity import generator_sha256

POOLED = "pool3"
"""The Inception layer behind FID, which has one location: only the metrics `paper` and `set-fid` apply to it."""


def feature_shape(config: RunConfig, backbone: Backbone) -> tuple[int, int, int]:
    """Shape [K, g, g] of the features that are compared for one image."""
    channels = backbone.channels(config.selection.layer)
    if config.selection.layer == POOLED:
        return (channels, 1, 1)  # the literal FID feature: one vector with all its dimensions
    return (min(COMPONENTS, channels), GRID, GRID)


def _tensors_sha256(generator: Generator) -> str:
    """Hash of the tensors of a generator that was made in memory and has no file."""
    digest = hashlib.sha256()
    for name, tensor in generator.state_dict().items():
        digest.update(f"{name} {list(tensor.shape)}".encode())
        digest.update(tensor.detach().double().cpu().numpy().tobytes())
    return digest.hexdigest()


def _source(config: RunConfig, samples: int, generator: Callable[[], Generator]) -> tuple[str, str, list[Path]]:
    """(sha256 of what the domain is made from, how to call it, its files if it is a folder)."""
    domain = config.selection.domain
    if domain == "generator":
        source = generator_sha256(config.generator) or _tensors_sha256(generator())
        return source, f"{config.generator}, {samples} samples, seed {DOMAIN_SEED}", []
    files = domain_files(config)
    return folder_sha256(Path(domain), files), f"{len(files)} images of {Path(domain).name}", files


def load_domain(
    config: RunConfig, backbone: Backbone, device: str, size: int, generator: Callable[[], Generator]
) -> DomainStatistics:
    """The statistics of `selection.domain`.

    Args:
        config: rule, feature network and domain.
        backbone: the network of `selection.backbone`.
        device: where images live.
        size: rows of the images that are compared, and of the domain's.
        generator: loads the generator, if its samples are the domain and have not been measured before.

    Raises:
        ConfigError: the domain's folder, or a picture in it, cannot be used.
    """
    s = config.selection
    components = feature_shape(config, backbone)[0]
    if s.domain == "generator":
        ready = shipped(config.generator, f"{s.backbone}-{s.layer}-{s.domain_samples}.npz")
        if ready is not None and size == min(SHIPPED_SIZE, generator().resolution):
            return load_statistics(ready)
    source, what, files = _source(config, s.domain_samples, generator)
    key = [source, zoo.expected_sha256(zoo.entry(s.backbone)), config.inversion.precision, str(size), str(DOMAIN_SEED)]
    digest = hashlib.sha256("/".join(key).encode()).hexdigest()
    folder = user_cache_path("mgi") / "statistics"
    path = cache_path(folder, digest, s.backbone, s.layer, s.domain_samples, components)

    def build() -> DomainStatistics:
        batches = (
            folder_images(files, size, device)
            if files
            else generated_images(generator(), s.domain_samples, size, device)
        )
        return build_statistics(batches, backbone, s.layer, components, what)

    return cached_statistics(path, build)


def load_detail(config: RunConfig, device: str, generator: Callable[[], Generator]) -> DetailStatistics:
    """How much detail the pictures of `selection.domain` have: shipped, cached, or measured now and cached.

    Args:
        config: domain and generator.
        device: where images live.
        generator: loads the generator, if its samples are the domain and have not been measured before.

    Raises:
        ConfigError: the domain's folder, or a picture in it, cannot be used.
    """
    if config.selection.domain == "generator" and (ready := shipped_detail(config.generator)) is not None:
        return read_detail(ready)
    source, what, files = _source(config, SAMPLES, generator)
    digest = hashlib.sha256("/".join([source, str(SAMPLES), str(DOMAIN_SEED)]).encode()).hexdigest()
    path = user_cache_path("mgi") / "statistics" / f"detail-{digest[:16]}.json"

    def build() -> DetailStatistics:
        if files:
            return build_detail(folder_images(files, None, device), what)
        made = generator()
        return build_detail(generated_images(made, SAMPLES, made.resolution, device), what)

    return cached_detail(path, build)
