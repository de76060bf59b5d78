"""What a conditioned method is given beside a picture: its map, found by name and cut as the picture is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mgi.pairs import split_face
from storage.images import BadImage, read_image
from tasks.unit import OpenRun

LAYERS = ("", "_eye_g")
"""What may follow a picture's name: its labels, and glasses over them."""


def conditions_of(run: OpenRun, pair_id: str, folder: str) -> tuple[np.ndarray, np.ndarray]:
    """Maps float32 [C, S, S] of a pair's source and exemplar.

    Those of labels have class numbers and, if there is one, the map of glasses; arrays have their own channels.

    Raises:
        storage.images.BadImage: a picture has no map, or it cannot be read; one line.
    """
    pair, paths = run.pair(pair_id), run.files(pair_id)
    source, face = split_face(pair.source)
    found = [
        _aligned(run, path, side, face if side == "source" else 1, read_map(folder, name))
        for path, side, name in zip(paths, ("source", "exemplar"), (source, pair.exemplar), strict=True)
    ]
    return found[0], found[1]


def _aligned(run: OpenRun, path: str, side: str, face: int, values: np.ndarray) -> np.ndarray:
    import torch

    from mgi.alignment.maps import align_map

    pixels = read_image(path).pixels
    quad, _ = run.align.quad(pixels, side, face)
    height, width = pixels.shape[:2]
    return align_map(torch.from_numpy(values), (height, width), quad, run.align.size).numpy()


def read_map(folder: str, name: str) -> np.ndarray:
    """[C, h, w] float32 of the picture's map."""
    for stem in dict.fromkeys((Path(name).with_suffix(""), Path(Path(name).stem))):
        array = Path(folder) / f"{stem}.npy"
        if array.is_file():
            return _array(array)
        layers = [path for end in LAYERS if (path := Path(folder) / f"{stem}{end}.png").is_file()]
        if layers and layers[0].stem == stem.name:
            return _labels(layers)
    raise BadImage(f"{folder} has no map of {name}; expected {Path(name).stem}.png of labels or {Path(name).stem}.npy")


def _array(path: Path) -> np.ndarray:
    try:
        values: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadImage(f"{path} cannot be read as an array ({error}); save it with numpy.save") from None
    if values.ndim != 3 or values.dtype.kind not in "fiub":
        raise BadImage(f"{path}: expected numbers [C, h, w], found {values.dtype} {list(values.shape)}")
    return values.astype(np.float32)


def read_labels(path: Path) -> np.ndarray:
    """Class numbers [h, w] of a picture.

    Raises:
        storage.images.BadImage: it cannot be read; one line.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image if image.mode in ("L", "P", "I;16", "I") else image.convert("L"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise BadImage(f"{path} cannot be read as labels ({error}); bring it again") from None


def _labels(paths: list[Path]) -> np.ndarray:
    layers = [read_labels(path) for path in paths]
    first = layers[0].shape
    if any(layer.shape != first for layer in layers):
        raise BadImage(f"{paths[-1]}: expected {first[1]} x {first[0]} pixels as {paths[0].name} has; bring it again")
    return np.stack(layers).astype(np.float32)
