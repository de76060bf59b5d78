"""Conditions of a folder of pictures, and maps of key points, as files that a training or a method reads."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from mgi.config import ConfigError
from mgi.systems.conditions import CONDITIONS, classes_of
from mgi.systems.keypoints import gaussian_maps, read_poses
from storage.atomic import write_bytes
from storage.folders import InputError, list_images
from storage.images import BadImage, read_image

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Made:
    """What was written.

    Args:
        files: how many.
        names: of the classes or key points, by their numbers; none of pictures.
        left_out: {picture: why}.
    """

    files: int
    names: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)


def make_conditions(pictures: Path, kind: str, out: Path, progress: Progress) -> Made:
    """OUT/NAME.png of every picture, called as it is and in the same subfolder; maps of labels as class numbers.

    Raises:
        InputError: there are no pictures.
        ConfigError: the kind is unknown, or OUT lies among the pictures.
    """
    if kind not in CONDITIONS:
        raise ConfigError(f"--kind: expected one of {', '.join(CONDITIONS)}, found {kind}")
    _require_outside(pictures, out)
    names, files, left_out = list_images(pictures), 0, {}
    targets: dict[Path, str] = {}
    for done, name in enumerate(names, 1):
        target = (out / name).with_suffix(".png")
        if other := targets.get(target):
            left_out[name] = f"{other} is called the same; rename one of them"
        else:
            targets[target] = name
            try:
                write_bytes(target, _png(CONDITIONS[kind](read_image(pictures / name).pixels)))
                files += 1
            except BadImage as error:
                left_out[name] = str(error)
        progress(done, len(names))
    return Made(files, classes_of(kind), left_out)


def make_maps(keypoints: Path, pictures: Path | None, out: Path, rows: int, progress: Progress) -> Made:
    """OUT/NAME.npy float16 [points, h, w] of every picture that a file of key points names.

    Args:
        pictures: where their sizes are read if the file does not say them; then only these are made.
        rows: of the smaller side of a map.

    Raises:
        ConfigError: the file cannot be read, or a size is nowhere.
    """
    poses, names = read_poses(keypoints)
    if pictures is not None:
        _require_outside(pictures, out)
        there = set(list_images(pictures))
        if absent := sorted(there - poses.keys()):
            raise InputError(f"{keypoints}: {len(absent)} pictures of {pictures} have no points, such as {absent[0]}")
        poses = {name: pose for name, pose in poses.items() if name in there}
    left_out = {}
    for done, (name, pose) in enumerate(poses.items(), 1):
        target = Path(name).with_suffix(".npy")
        if target.is_absolute() or ".." in target.parts:
            raise ConfigError(f"{keypoints}: expected names of pictures inside one folder, found {name}")
        try:
            size = pose.size or _size(pictures, name, keypoints)
            buffer = io.BytesIO()
            np.save(buffer, gaussian_maps(pose.points, names, size, rows))
            write_bytes(out / target, buffer.getvalue())
        except BadImage as error:
            left_out[name] = str(error)
        progress(done, len(poses))
    return Made(len(poses) - len(left_out), names, left_out)


def _size(pictures: Path | None, name: str, keypoints: Path) -> tuple[int, int]:
    if pictures is None:
        raise ConfigError(f"{keypoints}: no width and height of {name}; add them, or give the folder of the pictures")
    height, width = read_image(pictures / name).pixels.shape[:2]
    return width, height


def _require_outside(pictures: Path, out: Path) -> None:
    if out.resolve().is_relative_to(pictures.resolve()):
        raise ConfigError(f"--out {out} lies among the pictures; expected another folder")


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    plane = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    Image.fromarray(np.ascontiguousarray(plane)).save(buffer, format="PNG")
    return buffer.getvalue()
