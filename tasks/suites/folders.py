"""Two folders of pictures compared by metrics of whole sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from platformdirs import user_cache_path

from mgi import weights
from tasks.suites.sets import folder_set, metric_of_sets, reduced, short_hashes


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
    metrics = [metric_of_sets(name, f"--metric {name}") for name in names]
    for one in metrics:
        for network in one.weights:
            weights.path(network)
    x, y = folder_set(results), folder_set(reference)
    cache, found = user_cache_path("mgi") / "sets", []
    for one in metrics:
        assert one.reduction is not None
        of_reference = reduced(y, one.reduction, cache, say) if one.needs else None
        estimate = one.estimate(reduced(x, one.reduction, cache, say), of_reference)
        hashes = zip(one.weights, short_hashes(one.weights), strict=True)
        networks = [f"{name} {sha256}" for name, sha256 in hashes]
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
