"""Label maps made of a picture without a network: the colour that a region has, by name, and its connected regions.

The classes are fixed colours, so that a class means the same in every picture. A pixel has the class of the nearest one
in CIELAB, of a picture whose fine grain is taken out; then regions lose their specks to what is around them.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

CLASSES: dict[str, tuple[int, int, int]] = {
    "black": (20, 20, 22),
    "dark grey": (75, 75, 77),
    "grey": (135, 135, 137),
    "white": (240, 240, 238),
    "dark brown": (80, 50, 35),
    "brown": (140, 95, 65),
    "tan": (195, 160, 120),
    "skin": (230, 195, 165),
    "beige": (225, 210, 180),
    "pink": (215, 140, 150),
    "red": (175, 45, 40),
    "orange": (225, 130, 50),
    "yellow": (220, 195, 70),
    "green": (75, 125, 65),
    "blue": (60, 95, 160),
    "purple": (110, 70, 130),
}
"""Colours (sRGB, 0 to 255) by name; the number of a class is its place here."""
LARGEST = 256
"""Pixels of the smaller side at which maps are made; those of larger pictures are enlarged."""
GRAIN = 1 / 128
"""Half the window of the median that takes grain out, as a share of the smaller side."""
SPECK = 1 / 400
"""A region below this share of the picture is a speck."""
_WHITE_POINT = np.array((0.95047, 1.0, 1.08883))
_TO_XYZ = np.array(((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505)))


def segments(picture: np.ndarray) -> np.ndarray:
    """Picture uint8 [H, W, 3] -> class numbers uint8 [H, W, 1], below `len(CLASSES)`."""
    height, width = picture.shape[:2]
    share = min(1.0, LARGEST / min(height, width))
    small = _box_mean(picture, round(height * share), round(width * share)) if share < 1 else picture
    window = max(3, 2 * round(min(small.shape[:2]) * GRAIN) + 1)
    smooth = ndimage.median_filter(small, size=(window, window, 1), mode="nearest")
    labels = nearest_class(smooth)
    labels = without_specks(labels, max(2, round(labels.size * SPECK)))
    rows, columns = (
        np.arange(extent) * small_extent // extent
        for extent, small_extent in zip((height, width), labels.shape, strict=True)
    )
    return labels[rows[:, None], columns, None]


def _box_mean(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Smaller, every pixel the mean of those that it stands for."""
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BOX))


def nearest_class(picture: np.ndarray) -> np.ndarray:
    """Number of the nearest colour of `CLASSES` at every pixel: uint8 [H, W]."""
    colours = lab(np.array([*CLASSES.values()], np.uint8)[None])[0]
    pixels = lab(picture)
    distances = [((pixels - colour) ** 2).sum(-1) for colour in colours]
    return np.argmin(distances, axis=0).astype(np.uint8)


def lab(picture: np.ndarray) -> np.ndarray:
    """sRGB uint8 [H, W, 3] -> CIELAB float32 [H, W, 3] under D65: L from 0 to 100, a and b about -100 to 100."""
    level = np.arange(256) / 255  # eight bits have 256 values: the slow power is taken of those
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)[picture]
    xyz = linear @ _TO_XYZ.T / _WHITE_POINT
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1).astype(np.float32)


def without_specks(labels: np.ndarray, smallest: int) -> np.ndarray:
    """Labels uint8 [H, W] whose regions of fewer than `smallest` pixels have the class of the nearest larger one."""
    regions = instances(labels)
    small = np.bincount(regions.ravel())[regions] < smallest
    if small.all() or not small.any():
        return labels
    rows, columns = ndimage.distance_transform_edt(small, return_distances=False, return_indices=True)
    found: np.ndarray = labels[rows, columns]
    return found


def instances(labels: np.ndarray) -> np.ndarray:
    """Connected regions of one class (by sides, not corners) of labels [H, W]: their numbers int32 [H, W], from 0."""
    found, count = np.zeros(labels.shape, np.int32), 0
    for label in np.unique(labels):
        regions, number = ndimage.label(labels == label)
        found = np.where(regions > 0, regions + (count - 1), found)
        count += number
    return found.astype(np.int32)
