"""What hypotheses are compared with: statistics of a generator's samples or of a folder of images, kept in a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from mgi.features import Backbone
from mgi.metrics.gaussian import Gaussian, GaussianAccumulator
from mgi.metrics.locations import Basis, grid_features
from mgi.metrics.statistics_files import StatisticsError, cached, whole_file

FORMAT = 1

COMPONENTS = 32
"""K. The 256 locations of one image cannot fill many more dimensions; `python -m benchmarks.selection` measures it."""


TOGETHER = 64
"""How many batches of one-vector images are added to the statistics at once."""


@dataclass(frozen=True)
class DomainStatistics:
    """Statistics of a domain in its own principal components, or in all dimensions if all are kept.

    `locations` are of single locations (for `spatial-fd`), `images` of each image's mean over them (for `paper` and
    `set-fid`); `made_from` says what they were measured on, `explained` which share of the locations' variance the
    components keep.

    Principal components are scaled to order one by one common factor, so distances in them are in the domain's own
    units. If all dimensions are kept (Inception's pool3) nothing is rotated or scaled: distances are FID's.
    """

    basis: Basis
    locations: Gaussian
    images: Gaussian
    network: str
    layer: str
    made_from: str
    explained: float

    @property
    def components(self) -> int:
        """K."""
        return len(self.basis.matrix)

    def save(self, path: Path) -> None:
        """Write an .npz under its final name only when it is whole."""
        header = {
            "format": FORMAT,
            "network": self.network,
            "layer": self.layer,
            "made_from": self.made_from,
            "explained": self.explained,
            "n_locations": self.locations.n,
            "n_images": self.images.n,
        }
        with whole_file(path) as file:
            np.savez_compressed(
                file,
                header=np.array(json.dumps(header, sort_keys=True)),
                origin=self.basis.origin.astype(np.float32),
                matrix=self.basis.matrix.astype(np.float32),
                locations_mean=self.locations.mean,
                locations_covariance=self.locations.covariance,
                images_mean=self.images.mean,
                images_covariance=self.images.covariance,
            )


def load_statistics(path: Path) -> DomainStatistics:
    """Read what `DomainStatistics.save` wrote.

    Raises:
        StatisticsError: the file is missing, damaged or of another kind.
    """
    try:
        # Opened here: if np.load cannot read a file that it opened itself, it leaves closing it to the garbage
        # collector.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            header = json.loads(str(file["header"]))
            if header["format"] != FORMAT:
                found = header["format"]
                raise StatisticsError(f"{path} has format {found}, expected {FORMAT}; delete it to make it again")
            return DomainStatistics(
                Basis(file["origin"], file["matrix"]),
                Gaussian(file["locations_mean"], file["locations_covariance"], header["n_locations"]),
                Gaussian(file["images_mean"], file["images_covariance"], header["n_images"]),
                header["network"],
                header["layer"],
                header["made_from"],
                header["explained"],
            )
    except FileNotFoundError:
        raise StatisticsError(f"domain statistics {path} do not exist; make them from samples or a folder") from None
    except (OSError, KeyError, ValueError, BadZipFile, EOFError) as error:
        if isinstance(error, StatisticsError):
            raise
        raise StatisticsError(f"{path} is not a domain statistics file ({error}); delete it to make it again") from None


class DomainAccumulator:
    """Collects a domain's features batch by batch; two of them, from two workers, merge.

    Args:
        channels: C of the layer.
    """

    def __init__(self, channels: int) -> None:
        self.locations = GaussianAccumulator(channels)
        self.images = GaussianAccumulator(channels)

    def update(self, grids: Tensor) -> None:
        """Add `grid_features` of images, [B, C, g, g]; with one location per image, nothing is added over locations."""
        if grids.shape[-1] > 1:
            self.locations.update(grids.permute(0, 2, 3, 1).flatten(0, 2))
        self.images.update(grids.mean(dim=(2, 3)))

    def merge(self, other: DomainAccumulator) -> None:
        """Add everything that another accumulator has seen."""
        self.locations.merge(other.locations)
        self.images.merge(other.images)

    def result(self, network: str, layer: str, components: int = COMPONENTS, made_from: str = "") -> DomainStatistics:
        """Statistics in the first `components` principal components of the locations, or in all dimensions as they are.

        Both Gaussians are exact projections of the full ones, so one pass over the images is enough.

        Raises:
            StatisticsError: fewer than two images.
        """
        if self.images.n < 2:
            raise StatisticsError(f"domain statistics need at least two images, found {self.images.n}; give more")
        if not self.locations.n:
            return self._as_they_are(network, layer, made_from)
        locations = self.locations.result()
        values, vectors = np.linalg.eigh(locations.covariance)
        order = np.argsort(values)[::-1][:components]
        kept, matrix = values[order], vectors[:, order].T
        # An eigenvector's sign is arbitrary; its largest entry positive makes files comparable between machines.
        largest = np.abs(matrix).argmax(axis=1)
        matrix = matrix * np.sign(matrix[np.arange(len(matrix)), largest])[:, None]
        # One scale for all: relative sizes of components stay, and float16 can hold what is stored of a hypothesis.
        matrix = (matrix / np.sqrt(max(kept.mean(), 1e-12))).astype(np.float32)
        origin = locations.mean.astype(np.float32)
        return DomainStatistics(
            Basis(origin, matrix),
            locations.project(origin, matrix),
            self.images.result().project(origin, matrix),
            network,
            layer,
            made_from,
            float(kept.sum() / max(values.sum(), 1e-12)),
        )

    def _as_they_are(self, network: str, layer: str, made_from: str) -> DomainStatistics:
        """A layer with one location: FID's own vectors. A zero covariance means that there is none over locations."""
        images = self.images.result()
        size = images.mean.size
        nowhere = Gaussian(images.mean, np.zeros((size, size)), 0)
        basis = Basis(np.zeros(size, np.float32), np.eye(size, dtype=np.float32))
        return DomainStatistics(basis, nowhere, images, network, layer, made_from, 1.0)


def build_statistics(
    image_batches: Iterable[Tensor], backbone: Backbone, layer: str, components: int = COMPONENTS, made_from: str = ""
) -> DomainStatistics:
    """Statistics of a domain from batches of images [B, 3, H, W] in [-1, 1], in one pass.

    Args:
        image_batches: all images of one size, the size of the images to compare (the warp's): features depend on it.
        backbone, layer: the feature network of the distances.
        components: K.
        made_from: what to call the domain in tables, such as "mobile-stylegan-ffhq, 1024 samples, seed 0".

    Raises:
        StatisticsError: fewer than two images.
        FeatureError: no such layer.
    """
    accumulator = DomainAccumulator(backbone.channels(layer))
    single: list[Tensor] = []
    for images in image_batches:
        grids = grid_features(images, backbone, layer)
        if grids.shape[-1] > 1:
            accumulator.update(grids)
            continue
        single.append(grids)  # a scatter matrix of 2048 x 2048 per image would cost more than the network
        if len(single) == TOGETHER:
            accumulator.update(torch.cat(single))
            single.clear()
    if single:
        accumulator.update(torch.cat(single))
    return accumulator.result(backbone.name, layer, components, made_from)


def cache_path(
    folder: Path, source_digest: str, network: str, layer: str, n: int, components: int = COMPONENTS
) -> Path:
    """The file that keeps the statistics of a domain: one file per (generator or folder, network, layer, n, K).

    Args:
        source_digest: sha256 that identifies the generator's weights and seed, or the folder's files.
    """
    key = json.dumps([FORMAT, source_digest, network, layer, n, components])
    return folder / f"{network}-{layer}-{n}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"


def cached_statistics(path: Path, build: Callable[[], DomainStatistics]) -> DomainStatistics:
    """The statistics in `path`. If they are not there or damaged, `build` makes them and they are saved."""
    return cached(path, load_statistics, build)
