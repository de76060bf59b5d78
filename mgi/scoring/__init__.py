"""Frechet distance and its kin, domain statistics, and the rules that select a hypothesis."""

from mgi.scoring.domain import (
    DomainAccumulator,
    DomainStatistics,
    StatisticsError,
    build_statistics,
    cache_path,
    cached_statistics,
    load_statistics,
)
from mgi.scoring.frechet import frechet_distance, kernel_distance
from mgi.scoring.gaussian import Gaussian, GaussianAccumulator
from mgi.scoring.selection import RULES, Choice, SelectionError, select, select_set
from mgi.scoring.spatial import (
    GRID,
    Basis,
    grid_features,
    lane_features,
    location_statistics,
    paper_fd,
    pooled_vector,
    set_fid,
    sifid,
    spatial_fd,
)

__all__ = [
    "GRID",
    "RULES",
    "Basis",
    "Choice",
    "DomainAccumulator",
    "DomainStatistics",
    "Gaussian",
    "GaussianAccumulator",
    "SelectionError",
    "StatisticsError",
    "build_statistics",
    "cache_path",
    "cached_statistics",
    "frechet_distance",
    "grid_features",
    "kernel_distance",
    "lane_features",
    "load_statistics",
    "location_statistics",
    "paper_fd",
    "pooled_vector",
    "select",
    "select_set",
    "set_fid",
    "sifid",
    "spatial_fd",
]
