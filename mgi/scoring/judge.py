"""All distances of a hypothesis, and the choice: the domain's statistics behind the rules of `selection`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from mgi.config import ConfigError, RunConfig
from mgi.critics import critic_path
from mgi.features import Backbone
from mgi.generators import Generator
from mgi.learnt_files import LearntFileError
from mgi.metrics.bands import DetailStatistics
from mgi.metrics.domain import DomainStatistics
from mgi.metrics.locations import lane_features, pooled_vector
from mgi.metrics.paper import paper_fd
from mgi.metrics.set_fid import set_fid
from mgi.metrics.sifid import sifid
from mgi.metrics.spatial_fd import spatial_fd
from mgi.scoring.critic import Critic, read_critic
from mgi.scoring.domains import POOLED, feature_shape, load_detail, load_domain
from mgi.scoring.selection import Choice, select, select_set

ERROR = "l2_after"
"""The measure that the fidelity guard bounds: squared error of down4(y) to the warp."""


class Judge:
    """Scores and selects for one configuration.

    Args:
        config: selection rule, feature network, domain.
        generator: source of the domain's samples if `selection.domain` is `generator`.
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
        """Shape of what is stored for a hypothesis."""
        return feature_shape(self.config, self._backbone)

    @property
    def feature_dtype(self) -> str:
        """dtype of what is stored for a hypothesis; FID's own vectors are kept in full precision."""
        return "float32" if self.config.selection.layer == POOLED else "float16"

    @property
    def domain(self) -> DomainStatistics:
        """The domain's statistics: shipped, cached, or measured now and cached."""
        if self._domain is None:
            self._domain = load_domain(self.config, self._backbone, self._device, self._size, lambda: self._generator)
        return self._domain

    @cached_property
    def critic(self) -> Critic | None:
        """The critic that fits the configuration; None: there is none.

        Raises:
            ConfigError: its file is damaged, or does not fit.
        """
        path = critic_path(self.config)
        try:
            return None if path is None else read_critic(path)
        except LearntFileError as error:
            raise ConfigError(f"selection.critic_file: {error}") from None

    @cached_property
    def detail(self) -> DetailStatistics:
        """How much detail the domain's pictures have."""
        return load_detail(self.config, self._device, lambda: self._generator)

    def features(self, images: Tensor) -> np.ndarray:
        """Images [B,3,S,S] in [-1, 1] -> what is stored for them, [B, *feature_shape] of feature_dtype."""
        grids = lane_features(images, self._backbone, self.config.selection.layer, self.domain.basis)
        return grids.cpu().numpy().astype(self.feature_dtype)

    def distances(self, features: np.ndarray, reference: dict[str, np.ndarray]) -> dict[str, float]:
        """Features [K,g,g] of a hypothesis and of its pair's warp and exemplar -> distance by rule."""
        grid = features.astype(np.float32)
        other = reference[self.config.selection.sifid_reference].astype(np.float32)
        found = {
            "spatial-fd": spatial_fd(grid, self.domain.locations),
            "sifid": sifid(grid, other),
            "paper": paper_fd(pooled_vector(grid), self.domain.images),
        }
        if self.critic is not None:
            found["critic"] = self.critic(grid)
        return found

    def domain_distance(self, features: np.ndarray, rule: str) -> float:
        """Features [K,g,g] -> the distance to the domain: `paper` or `critic` under that rule, else the spatial one."""
        grid = features.astype(np.float32)
        if rule == "critic" and self.critic is not None:
            return self.critic(grid)
        if rule == "paper":
            return paper_fd(pooled_vector(grid), self.domain.images)
        return spatial_fd(grid, self.domain.locations)

    def select(self, table: list[dict[str, Any]]) -> dict[str, Any]:
        """One pair's rows -> its choice."""
        settings = self.config.selection
        rows = [{**row, "error": row.get(ERROR)} for row in table]
        return _plain(select(rows, settings.rule, settings.fidelity_bound, settings.critic_margin))

    def select_set(
        self, tables: list[list[dict[str, Any]]], features: Callable[[int, str], np.ndarray]
    ) -> list[dict[str, Any]]:
        """All pairs' rows -> every pair's choice, by one ranking of the set; features are read one lane at a time."""
        pooled: dict[str, list[np.ndarray]] = {}
        for number, table in enumerate(tables):
            for name in (row["hypothesis"] for row in table):
                pooled.setdefault(name, []).append(pooled_vector(features(number, name).astype(np.float32)))
        distances = {name: set_fid(np.stack(vectors), self.domain.images) for name, vectors in pooled.items()}
        rows = [[{**row, "error": row.get(ERROR)} for row in table] for table in tables]
        settings = self.config.selection
        choices = select_set(rows, distances, settings.fidelity_bound, settings.critic_margin)
        return [_plain(choice) for choice in choices]


def _plain(choice: Choice) -> dict[str, Any]:
    return {
        "hypothesis": choice.hypothesis,
        "rule": choice.rule,
        "value": choice.value,
        "guarded": list(choice.guarded),
        "invalid": list(choice.invalid),
        "halved": list(choice.halved),
    }
