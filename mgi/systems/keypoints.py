"""Key points of pictures, such as poses: read from a file, and drawn as one Gaussian map per point.

Three kinds of files are read, told apart by their content:

- CSV with the columns picture,name,x,y and perhaps width,height: a row per point;
- JSON: {"a.jpg": {"width": W, "height": H, "points": [{"name": ..., "x": ..., "y": ...}]}}, or the points alone;
- COCO's {"images": [...], "annotations": [...], "categories": [...]}, whose points that are not labelled are left out.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mgi.config import ConfigError

SIGMA = 6 / 256
"""Standard deviation of a point's Gaussian, as a share of the smaller side of the map."""


@dataclass
class Pose:
    """The points of one picture.

    Args:
        size: (width, height) in pixels; None: the file does not say.
        points: (name, x, y) in pixels from the upper left corner; a name may occur for several persons.
    """

    size: tuple[int, int] | None = None
    points: list[tuple[str, float, float]] = field(default_factory=list)


def read_poses(file: Path) -> tuple[dict[str, Pose], tuple[str, ...]]:
    """({picture: its points}, all names of points in the order in which the file has them).

    Raises:
        ConfigError: the file cannot be read, or is none of these kinds; one line.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read ({error}); expected key points as CSV or JSON") from None
    names: tuple[str, ...] | None = None
    try:
        if not text.lstrip().startswith("{"):
            poses = _of_rows(csv.DictReader(text.splitlines()))
        else:
            content = json.loads(text)
            coco = "annotations" in content and "images" in content
            poses, names = _of_coco(content) if coco else (_of_pictures(content), None)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        said = f"no {error.args[0]}" if isinstance(error, KeyError) else " ".join(str(error).split())[:120]
        raise ConfigError(
            f"{file}: expected CSV with picture,name,x,y, JSON of points by picture, or COCO's, found {said}"
        ) from None
    found = names or tuple(dict.fromkeys(name for pose in poses.values() for name, _, _ in pose.points))
    if not found:
        raise ConfigError(f"{file} holds no key points; expected at least one")
    return poses, found


def gaussian_maps(
    points: Iterable[tuple[str, float, float]], names: tuple[str, ...], size: tuple[int, int], rows: int
) -> np.ndarray:
    """Maps float16 [len(names), h, w], 1 at a point and less around it; of several of one name, the larger value.

    Args:
        points: (name, x, y) in pixels of the picture.
        names: the channels.
        size: (width, height) of the picture.
        rows: of the smaller side of the map, whose shape is the picture's.
    """
    width, height = size
    scale = rows / min(width, height)
    shape = round(height * scale), round(width * scale)
    deviation = SIGMA * rows
    maps = np.zeros((len(names), *shape))
    down, right = np.arange(shape[0])[:, None], np.arange(shape[1])
    for name, x, y in points:
        column, row = ((place + 0.5) * scale - 0.5 for place in (x, y))
        distance = (down - row) ** 2 + (right - column) ** 2
        channel = names.index(name)
        maps[channel] = np.maximum(maps[channel], np.exp(-distance / (2 * deviation**2)))
    return maps.astype(np.float16)


def _number(value: Any) -> float:
    found = float(value)
    if not math.isfinite(found):
        raise ValueError(f"the coordinate {value}")
    return found


def _size(of: Mapping[str, Any]) -> tuple[int, int] | None:
    if not of.get("width") or not of.get("height"):
        return None
    found = int(of["width"]), int(of["height"])
    if min(found) < 1:
        raise ValueError(f"a picture of {found[0]} x {found[1]} pixels")
    return found


def _of_rows(rows: Iterable[Mapping[str, Any]]) -> dict[str, Pose]:
    poses: dict[str, Pose] = {}
    for row in rows:
        pose = poses.setdefault(row["picture"], Pose(_size(row)))
        pose.points.append((row["name"], _number(row["x"]), _number(row["y"])))
    return poses


def _of_pictures(content: Mapping[str, Any]) -> dict[str, Pose]:
    poses = {}
    for picture, said in content.items():
        whole = said if isinstance(said, Mapping) else {"points": said}
        points = [(str(point["name"]), _number(point["x"]), _number(point["y"])) for point in whole["points"]]
        poses[picture] = Pose(_size(whole), points)
    return poses


def _of_coco(content: Mapping[str, Any]) -> tuple[dict[str, Pose], tuple[str, ...]]:
    names_of = {category["id"]: category["keypoints"] for category in content["categories"] if "keypoints" in category}
    files = {image["id"]: image["file_name"] for image in content["images"]}
    poses = {image["file_name"]: Pose(_size(image)) for image in content["images"]}
    for annotation in content["annotations"]:
        flat, names = annotation.get("keypoints", []), names_of.get(annotation["category_id"], [])
        for name, (x, y, visible) in zip(names, zip(*[iter(flat)] * 3, strict=True), strict=False):
            if visible:
                poses[files[annotation["image_id"]]].points.append((name, _number(x), _number(y)))
    return poses, tuple(dict.fromkeys(name for names in names_of.values() for name in names))
