"""Metrics of whole sets: each set is read once per kind of feature, and what it becomes is kept by its content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mgi.config import ConfigError
from mgi.devices import best_device
from mgi.metrics.reduced import Arrays, Estimate, ReducedMetric, Reduction
from mgi.metrics.registry import REGISTRY, metric
from storage.atomic import writing
from storage.folders import list_images
from storage.run_store import RunStore
from tasks.stages.evaluate import network
from tasks.stages.select import RESULT, final_path
from tasks.unit import SELECT, TRANSLATE, WARP, Job

if TYPE_CHECKING:
    from torch import Tensor

Say = Callable[[str], None]


@dataclass(frozen=True)
class ImageSet:
    """Pictures in an order, with the hash of each; they are read when asked for."""

    what: str
    """In words, for tables."""
    hashes: tuple[str, ...]
    read: Callable[[int], np.ndarray]
    """Number -> uint8 [H, W, 3]."""
    files: str = "PNG"
    """Their format."""

    def __len__(self) -> int:
        return len(self.hashes)

    def images(self) -> Iterator[Tensor]:
        """float32 [1, 3, H, W] in [-1, 1], one by one."""
        from mgi.images import to_float

        for number in range(len(self)):
            yield to_float(self.read(number), best_device())

    def content(self) -> str:
        """A hash of the pictures, whatever their order and names."""
        return hashlib.sha256("\n".join(sorted(self.hashes)).encode()).hexdigest()


def results_of(run: str) -> ImageSet:
    """The finished pictures of a run."""
    store = RunStore.open(run)
    opened = Job.of(store).open()
    stage = SELECT if opened.config.searches else TRANSLATE
    found = {}
    for pair_id in opened.pair_ids():
        marker = store.marker(stage, pair_id)
        if marker is not None:
            found[pair_id] = marker["files"][RESULT.format(pair_id)]
    ids = list(found)

    def read(number: int) -> np.ndarray:
        from storage.images import read_image

        return read_image(str(final_path(run, ids[number]))).pixels

    return ImageSet("results", tuple(found.values()), read)


def side_of(run: str, side: str) -> ImageSet:
    """The sources or exemplars of a run as its method saw them, each picture once."""
    store = RunStore.open(run)
    opened = Job.of(store).open()
    stage, name = WARP if opened.config.searches else TRANSLATE, side.removesuffix("s")
    first: dict[str, str] = {}
    for pair_id in opened.pair_ids():
        pair = opened.pair(pair_id)
        picture = pair.source if side == "sources" else pair.exemplar
        if picture not in first and store.marker(stage, pair_id) is not None:
            first[picture] = pair_id
    ids = list(first.values())
    hashes = [(store.marker(stage, pair_id) or {})["arrays"][f"warp/{name}"] for pair_id in ids]

    def read(number: int) -> np.ndarray:
        return np.asarray(store.value(stage, ids[number], f"warp/{name}"))

    return ImageSet(f"{len(ids)} {side}, aligned", tuple(map(str, hashes)), read, "run.zarr")


def pictures_of_side(run: str, side: str) -> set[str]:
    """Files of the sources or exemplars of a run."""
    opened = Job.of(RunStore.open(run)).open()
    pairs = map(opened.pair, opened.pair_ids())
    return {f"{opened.store.header['inputs'][side]}/{getattr(pair, side.removesuffix('s'))}" for pair in pairs}


def folder_set(folder: str) -> ImageSet:
    """The pictures of a folder as they are.

    Raises:
        storage.folders.InputError: it cannot be used.
    """
    from storage.file_identity import Looker

    names, looker = list_images(folder), Looker()
    paths = [str(Path(folder) / name) for name in names]
    hashes = [found.sha256 if (found := looker.identity(path)) else "" for path in paths]

    def read(number: int) -> np.ndarray:
        from storage.images import read_image

        return read_image(paths[number]).pixels

    endings = sorted({Path(name).suffix[1:].lower() for name in names})
    return ImageSet(f"{len(names)} pictures of {Path(folder).name}", tuple(hashes), read, "/".join(endings))


def reduced(images: ImageSet, reduction: Reduction, cache: Path, say: Say) -> Arrays:
    """What a set becomes under a reduction; computed once for each content.

    Raises:
        mgi.weights.WeightsError: a network is missing.
    """
    from mgi.weights import zoo

    networks = [zoo.expected_sha256(zoo.entry(name)) for name in reduction.weights]
    key = hashlib.sha256(repr([reduction.name, reduction.version, networks, images.content()]).encode()).hexdigest()
    path = cache / f"{reduction.name}-{key[:16]}.npz"
    if path.is_file():
        with np.load(path, allow_pickle=False) as kept:
            return {name: kept[name] for name in kept.files}
    say(f"{reduction.name} of {len(images)} pictures ({images.what})")
    arrays = reduction.run(images.images(), network)
    with writing(path) as file:  # 70,000 vectors are half a gigabyte: not twice in memory
        np.savez(file, **arrays)  # type: ignore[arg-type]
    return arrays


def _missing(reduction: Reduction) -> str | None:
    """The network that a reduction lacks here, or None."""
    from mgi.weights import zoo

    return next((name for name in reduction.weights if zoo.absent(zoo.entry(name))), None)


def metric_of_sets(name: str, said: str) -> ReducedMetric:
    """The metric of a name.

    Args:
        name: such as `fid`.
        said: where the user named it, which the message begins with.

    Raises:
        mgi.registry.RegistryError: there is none. ConfigError: it is one of pairs, or has no reference.
    """
    found = metric(name)
    if not isinstance(found, ReducedMetric):
        fit = [other for other in REGISTRY.rows if isinstance(metric(other), ReducedMetric)]
        raise ConfigError(
            f"{said}: expected a metric of whole sets with a reference, found {name}; use {', '.join(fit)}"
        )
    return found


def short_hashes(networks: Sequence[str]) -> list[str]:
    """The first 12 digits of each network's hash, for tables."""
    from mgi.weights import zoo

    return [(zoo.expected_sha256(zoo.entry(name)) or "")[:12] for name in networks]


def measure_sets(
    metrics: Sequence[ReducedMetric], sets: Mapping[str, ImageSet], reference: ImageSet | None, cache: Path, say: Say
) -> dict[str, dict[str, Estimate]]:
    """{set: {metric: number}}, each in its order; what cannot be measured has a note instead of a number.

    One reduction after the other: the arrays of a large reference are read once for all sets and metrics, and never
    lie in memory beside those of another reduction.
    """
    found: dict[str, dict[str, Estimate]] = {name: {} for name in sets}
    for reduction in dict.fromkeys(one.reduction for one in metrics):
        assert reduction is not None
        sharing = [one for one in metrics if one.reduction == reduction]
        if (absent := _missing(reduction)) is not None:
            for name in sets:
                none = Estimate(float("nan"), note=f"not run: weights {absent} missing")
                found[name] |= dict.fromkeys((one.name for one in sharing), none)
            continue
        of_reference: Arrays | None = None
        for name, images in sets.items():
            try:
                if of_reference is None and reference and any(one.needs for one in sharing):
                    of_reference = reduced(reference, reduction, cache, say)
                arrays = reduced(images, reduction, cache, say)
            except ValueError as error:
                found[name] |= dict.fromkeys((one.name for one in sharing), _failed(error))
                continue
            found[name] |= {one.name: _estimate(one, arrays, of_reference) for one in sharing}
    return {name: {one.name: of_set[one.name] for one in metrics} for name, of_set in found.items()}


def _estimate(one: ReducedMetric, arrays: Arrays, reference: Arrays | None) -> Estimate:
    try:
        return one.estimate(arrays, reference)
    except ValueError as error:
        return _failed(error)


def _failed(error: ValueError) -> Estimate:
    return Estimate(float("nan"), note=f"failed: {' '.join(str(error).split())}")
