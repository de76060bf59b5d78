"""Every distance of a hypothesis, and the choice: the domain's statistics behind the rules of `selection`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from platformdirs import user_cache_path
from torch import Tensor

from mgi.config import ConfigError, RunConfig
from mgi.features import Backbone
from mgi.generators import Generator
from mgi.images import fit_square, to_float
from mgi.own_files import domain_files, folder_sha256
from mgi.scoring.domain import DomainStatistics, build_statistics, cache_path, cached_statistics, load_statistics
from mgi.scoring.selection import Choice, select, select_set
from mgi.scoring.spatial import GRID, lane_features, paper_fd, pooled_vector, set_fid, sifid, spatial_fd
from mgi.statistics import shipped
from mgi.weights import zoo
from mgi.weights.identity import generator_sha256

COMPONENTS = 32
POOLED = "pool3"
"""Inception's layer behind FID, which has one location: only the rules `paper` and `set-fid` apply to it."""
DOMAIN_SEED = 0
SHIPPED_SIZE = 256
"""Shipped domain statistics are of images with this many rows, or of a smaller generator's own."""
ERROR = "l2_after"
"""The measure that the fidelity guard bounds: squared error of down4(y) to the warp."""


class Judge:
    """Scores and selects for one configuration.

    Args:
        config: selection rule, feature network, domain.
        generator: source of the domain's samples where `selection.domain` is `generator`.
        backbone: the feature network.
        device: where images live.
        size: rows of the images that are judged, and of the domain's.
    """

    def __init__(self, config: RunConfig, generator: Generator, backbone: Backbone, device: str, size: int) -> None:
        self.config, self._generator, self._backbone, self._device = config, generator, backbone, device
        self._size = size
        self._domain: DomainStatistics | None = None

    @property
    def feature_shape(self) -> tuple[int, int, int]:
        """Shape of what is stored of a hypothesis."""
        channels = self._backbone.channels(self.config.selection.layer)
        if self.config.selection.layer == POOLED:
            return (channels, 1, 1)  # the literal FID feature: one vector, all of its dimensions
        return (min(COMPONENTS, channels), GRID, GRID)

    @property
    def feature_dtype(self) -> str:
        """dtype of what is stored of a hypothesis; FID's own vectors are kept in full."""
        return "float32" if self.config.selection.layer == POOLED else "float16"

    @property
    def domain(self) -> DomainStatistics:
        """The domain's statistics: shipped, cached, or measured now and cached."""
        if self._domain is None:
            self._domain = self._load_domain()
        return self._domain

    def features(self, images: Tensor) -> np.ndarray:
        """Images [B,3,S,S] in [-1, 1] -> what is stored of them, [B, *feature_shape] of feature_dtype."""
        grids = lane_features(images, self._backbone, self.config.selection.layer, self.domain.basis)
        return grids.cpu().numpy().astype(self.feature_dtype)

    def distances(self, features: np.ndarray, reference: dict[str, np.ndarray]) -> dict[str, float]:
        """Features [K,g,g] of a hypothesis and of its pair's warp and exemplar -> distance by rule."""
        grid = features.astype(np.float32)
        other = reference[self.config.selection.sifid_reference].astype(np.float32)
        return {
            "spatial-fd": spatial_fd(grid, self.domain.locations),
            "sifid": sifid(grid, other),
            "paper": paper_fd(pooled_vector(grid), self.domain.images),
        }

    def domain_distance(self, features: np.ndarray, rule: str) -> float:
        """Features [K,g,g] -> the distance to the domain under `paper`, else the spatial one: what needs no pair."""
        grid = features.astype(np.float32)
        if rule == "paper":
            return paper_fd(pooled_vector(grid), self.domain.images)
        return spatial_fd(grid, self.domain.locations)

    def select(self, table: list[dict[str, Any]]) -> dict[str, Any]:
        """One pair's rows -> its choice."""
        settings = self.config.selection
        rows = [{**row, "error": row.get(ERROR)} for row in table]
        return _plain(select(rows, settings.rule, settings.fidelity_bound))

    def select_set(
        self, tables: list[list[dict[str, Any]]], features: Callable[[int, str], np.ndarray]
    ) -> list[dict[str, Any]]:
        """All pairs' rows -> every pair's choice by one ranking of the set; features are read one lane at a time."""
        pooled: dict[str, list[np.ndarray]] = {}
        for number, table in enumerate(tables):
            for name in (row["hypothesis"] for row in table):
                pooled.setdefault(name, []).append(pooled_vector(features(number, name).astype(np.float32)))
        distances = {name: set_fid(np.stack(vectors), self.domain.images) for name, vectors in pooled.items()}
        rows = [[{**row, "error": row.get(ERROR)} for row in table] for table in tables]
        return [_plain(c) for c in select_set(rows, distances, self.config.selection.fidelity_bound)]

    def _load_domain(self) -> DomainStatistics:
        s = self.config.selection
        if s.domain == "generator":
            ready = shipped(self.config.generator, f"{s.backbone}-{s.layer}-{s.domain_samples}.npz")
            if ready is not None and self._size == min(SHIPPED_SIZE, self._generator.resolution):
                return load_statistics(ready)
            source = generator_sha256(self.config.generator) or _tensors_sha256(self._generator)
            what = f"{self.config.generator}, {s.domain_samples} samples, seed {DOMAIN_SEED}"
            batches = generated_images(self._generator, s.domain_samples, self._size, self._device)
        else:
            files = domain_files(self.config)
            source = folder_sha256(Path(s.domain), files)
            what = f"{len(files)} images of {Path(s.domain).name}"
            batches = folder_images(files, self._size, self._device)
        key = [source, zoo.expected_sha256(zoo.entry(s.backbone)), self.config.inversion.precision]
        key += [str(self._size), str(DOMAIN_SEED)]
        path = cache_path(
            user_cache_path("mgi") / "statistics",
            hashlib.sha256("/".join(key).encode()).hexdigest(), s.backbone, s.layer, s.domain_samples,
            self.feature_shape[0],
        )  # fmt: skip
        return cached_statistics(
            path, lambda: build_statistics(batches, self._backbone, s.layer, self.feature_shape[0], what)
        )


def generated_images(
    generator: Generator, count: int, size: int, device: str, seed: int = DOMAIN_SEED
) -> Iterator[Tensor]:
    """`count` samples of the generator as [1,3,size,size], one by one: the same in any batch, little memory."""
    random = torch.Generator().manual_seed(seed)
    for _ in range(count):
        z = torch.randn(1, generator.z_dim, generator=random).to(device)
        with torch.no_grad():
            images = generator(z)
        yield fit_square(images.clamp(-1, 1), size)


def folder_images(files: list[Path], size: int, device: str) -> Iterator[Tensor]:
    """Images of a folder as [1,3,size,size]: centre square, resized."""
    for file in files:
        try:
            with Image.open(file) as picture:
                pixels = np.asarray(picture.convert("RGB"))
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise ConfigError(f"selection.domain: {file} cannot be read ({error}); remove or replace it") from None
        yield fit_square(to_float(pixels, device), size)


def _tensors_sha256(generator: Generator) -> str:
    """Hash of the tensors of a generator that was made in memory and has no file."""
    digest = hashlib.sha256()
    for name, tensor in generator.state_dict().items():
        digest.update(f"{name} {list(tensor.shape)}".encode())
        digest.update(tensor.detach().double().cpu().numpy().tobytes())
    return digest.hexdigest()


def _plain(choice: Choice) -> dict[str, Any]:
    return {
        "hypothesis": choice.hypothesis,
        "rule": choice.rule,
        "value": choice.value,
        "guarded": list(choice.guarded),
        "invalid": list(choice.invalid),
        "halved": list(choice.halved),
    }
