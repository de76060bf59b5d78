"""Two folders of pictures compared by metrics of whole sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from platformdirs import user_cache_path

from mgi import weights
from mgi.config import ConfigError
from mgi.metrics.reduced import ReducedMetric
from mgi.metrics.registry import REGISTRY, metric
from mgi.weights import zoo
from tasks.suites.sets import folder_set, reduced


@dataclass(frozen=True)
class FolderDistance:
    """One number with everything that decides it."""

    metric: str
    value: float
    low: float
    high: float
    counts: str
    network: str
    resize: str
    note: str


def compare_folders(
    results: str, reference: str, names: Sequence[str], say: Callable[[str], None]
) -> list[FolderDistance]:
    """Every metric of two folders; what a folder is reduced to is cached by its pictures.

    Raises:
        ConfigError: no such metric, or one of pairs. storage.folders.InputError: a folder cannot be used.
        mgi.weights.WeightsError: a network is missing.
    """
    metrics = [_of_sets(name) for name in names]
    for one in metrics:
        for network in one.weights:
            weights.path(network)
    x, y = folder_set(results), folder_set(reference)
    cache, found = user_cache_path("mgi") / "sets", []
    for one in metrics:
        assert one.reduction is not None
        of_reference = reduced(y, one.reduction, cache, say) if one.needs else None
        estimate = one.estimate(reduced(x, one.reduction, cache, say), of_reference)
        networks = [f"{name} {(zoo.expected_sha256(zoo.entry(name)) or '')[:12]}" for name in one.weights]
        found.append(
            FolderDistance(
                metric=one.name,
                value=estimate.value,
                low=estimate.low,
                high=estimate.high,
                counts=f"{len(x)} and {len(y)} pictures",
                network=", ".join(networks) or "no network",
                resize=one.reduction.resize,
                note=estimate.note,
            )
        )
    return found


def _of_sets(name: str) -> ReducedMetric:
    found = metric(name)
    if not isinstance(found, ReducedMetric):
        fit = [other for other in REGISTRY.rows if isinstance(metric(other), ReducedMetric)]
        raise ConfigError(f"--metric {name}: expected a metric of whole sets with a reference; use {', '.join(fit)}")
    return found
