"""The folder of a training run.

training.json      what it was asked to do; the run exists from the moment this file does
images.npy         the decoded pictures, uint8 [N, R, R, 3], memory-mapped; images.json: names, and what was left out
checkpoint.pt      where to continue, replaced as a whole
metrics.csv        one row per evaluation
generator.safetensors, card.md    the best snapshot so far, and its description; encoder.safetensors if that is trained
samples/           one grid of samples per evaluation
known/             samples of a generator with what is known of each, in blocks (encoders only)
data/              the pictures of both sides (translators only), each side as images.npy and images.json
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from storage.atomic import write_bytes, write_text
from storage.file_identity import FileIdentity, Looker
from storage.folders import InputError, list_images
from storage.images import BadImage, read_image
from storage.run_lock import run_lock

FORMAT = 1
MIN_IMAGES = 50
"""With fewer images a discriminator only learns them by heart."""
BLOCK = 64
"""Known samples per file."""


class TrainingConflict(ValueError):
    """The folder holds another training run, or one that was not asked for; the message says what to do."""


class TrainingStore:
    """One training run's folder; see the module for its files."""

    def __init__(self, folder: Path, model: str = "generator") -> None:
        self.folder, self._model = folder, model

    @property
    def exists(self) -> bool:
        """Whether a run was started here."""
        return (self.folder / "training.json").exists()

    @property
    def model_path(self) -> Path:
        """The best snapshot."""
        return self.folder / f"{self._model}.safetensors"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Only one process trains here; raises `storage.run_lock.RunLocked` otherwise."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with run_lock(self.folder):
            yield

    def header(self) -> dict[str, Any]:
        """What the run was asked to do.

        Raises:
            TrainingConflict: there is none, or it has another format.
        """
        path = self.folder / "training.json"
        try:
            header = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise TrainingConflict(f"{self.folder} holds no training run; start one without --resume") from None
        except ValueError:
            header = None
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise TrainingConflict(f"{path} is damaged or of another version; train into another folder")
        return header

    def create(self, header: dict[str, Any]) -> None:
        """Write the header of a new run.

        Raises:
            TrainingConflict: the folder already holds other things.
        """
        found = sorted(path.name for path in self.folder.iterdir() if not path.name.startswith("."))
        strangers = [name for name in found if name not in ("images.npy", "images.json", "known", "target", "data")]
        if strangers:
            raise TrainingConflict(f"{self.folder} holds {strangers[0]} already; train into an empty folder")
        write_text(self.folder / "training.json", json.dumps({"format": FORMAT, **header}, indent=1) + "\n")

    def amend(self, **asked: Any) -> None:
        """What the run is asked for from now on, such as more steps; the next `--resume` need not say it again."""
        header = self.header()
        if any(header.get(name) != value for name, value in asked.items()):
            write_text(self.folder / "training.json", json.dumps({**header, **asked}, indent=1) + "\n")

    # ------------------------------------------------------------------ images

    def images(self, source: Path, resolution: int, progress: Callable[[int, int], None]) -> np.ndarray:
        """The decoded pictures of `source`, in the order of their names: decoded now, or decoded before and read again.

        Each is cropped to its centred square and resized (Lanczos). Unreadable ones are left out and listed in
        images.json.

        Returns:
            uint8 [N, R, R, 3], memory-mapped.

        Raises:
            InputError: no such folder, too few usable images, or the images are not those that the run was started
                with.
        """
        array, index = self.folder / "images.npy", self.folder / "images.json"
        names, looker = list_images(source), Looker()
        if index.exists() and array.exists():
            known = json.loads(index.read_text(encoding="utf-8"))
            now = _looked_at(source, names, resolution, known, looker)
            if now is not None:
                if now != known.get("pictures"):
                    write_text(index, json.dumps(known | {"resolution": resolution, "pictures": now}, indent=1) + "\n")
                return np.load(array, mmap_mode="r")
            if self.exists:
                raise InputError(
                    f"the images in {source} changed since this training started; bring them back, or train again"
                )
        seen = {name: _identity(looker, source / name) for name in names}  # before they are read
        pixels, kept, bad = _decode(source, names, resolution, progress)
        if len(kept) < MIN_IMAGES:
            reason = f"; the first of {len(bad)} unreadable ones: {next(iter(bad.values()))}" if bad else ""
            raise InputError(f"{source} holds {len(kept)} usable images, expected at least {MIN_IMAGES}{reason}")
        buffer = io.BytesIO()
        np.save(buffer, pixels[: len(kept)])
        write_bytes(array, buffer.getvalue())
        known = {"resolution": resolution, "pictures": seen, "names": kept, "left_out": bad}
        write_text(index, json.dumps(known, indent=1) + "\n")
        return np.load(array, mmap_mode="r")

    def left_out(self) -> dict[str, str]:
        """{name: reason} of images that could not be read."""
        return dict(json.loads((self.folder / "images.json").read_text(encoding="utf-8"))["left_out"])

    # ------------------------------------------------------------------ samples

    def known(
        self,
        count: int,
        make: Callable[[Sequence[int]], tuple[np.ndarray, ...]],
        progress: Callable[[int, int], None],
        key: str,
        at_once: int = 1,
    ) -> tuple[np.ndarray, ...]:
        """`make` of 0, ..., count - 1 as whole arrays: made now, or made before and read again.

        Blocks of 64 are written as they are done, so a kill loses at most one.

        Args:
            count: how many.
            make: some of them, as arrays with a row for each.
            progress: told how many there are, and the whole.
            key: of everything that decides what `make` makes.
            at_once: how many `make` is asked for.
        """
        blocks = []
        for first in range(0, count, BLOCK):
            path = self.folder / "known" / key / f"{first:07d}.npz"
            indices = range(first, min(first + BLOCK, count))
            blocks.append(_block(path, len(indices)) or _make_block(path, indices, make, progress, count, at_once))
            progress(indices[-1] + 1, count)
        return tuple(np.concatenate(arrays) for arrays in zip(*blocks, strict=True))

    # ------------------------------------------------------------------ progress

    def write_checkpoint(self, data: bytes) -> None:
        """Replace the checkpoint, whole or not at all."""
        write_bytes(self.folder / "checkpoint.pt", data)

    def checkpoint(self) -> Path | None:
        """The newest checkpoint; None before the first."""
        path = self.folder / "checkpoint.pt"
        return path if path.exists() else None

    def add_metrics(self, row: dict[str, Any]) -> None:
        """Add an evaluation; later ones, from a run that was killed before its checkpoint, are dropped."""
        table = self.metrics()
        table = table[table["step"] < row["step"]] if len(table) else table
        table = pd.concat([table, pd.DataFrame([row])]) if len(table) else pd.DataFrame([row])
        write_text(self.folder / "metrics.csv", table.to_csv(index=False))

    def metrics(self) -> pd.DataFrame:
        """All evaluations so far."""
        path = self.folder / "metrics.csv"
        return pd.read_csv(path) if path.exists() else pd.DataFrame()


def _block(path: Path, count: int) -> tuple[np.ndarray, ...] | None:
    """A block that was written; None if there is none, or a shorter one."""
    if not path.exists():
        return None
    with np.load(path) as file:  # no pickles: NumPy refuses them unless told otherwise
        arrays = tuple(file[f"arr_{number}"] for number in range(len(file.files)))
    return arrays if all(len(array) == count for array in arrays) else None


def _make_block(
    path: Path,
    indices: range,
    make: Callable[[Sequence[int]], tuple[np.ndarray, ...]],
    progress: Callable[[int, int], None],
    total: int,
    at_once: int,
) -> tuple[np.ndarray, ...]:
    parts = []
    for first in range(0, len(indices), at_once):
        parts.append(make(indices[first : first + at_once]))
        progress(indices[first] + len(parts[-1][0]), total)
    arrays = tuple(np.concatenate(array) for array in zip(*parts, strict=True))
    buffer = io.BytesIO()
    np.savez(buffer, *arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, buffer.getvalue())
    return arrays


def _looked_at(
    source: Path, names: list[str], resolution: int, known: dict[str, Any], looker: Looker
) -> dict[str, list[Any] | None] | None:
    """Identities of the images as they are now, by name; None if they are not those that were decoded."""
    before = known.get("pictures")
    if before is None:  # an older version only looked at sizes: the images now count as those that were decoded
        sizes = [(name, (source / name).stat().st_size) for name in names]
        same = hashlib.sha256(repr((resolution, sizes)).encode()).hexdigest() == known["fingerprint"]
        return {name: _identity(looker, source / name) for name in names} if same else None
    if known["resolution"] != resolution or sorted(before) != sorted(names):
        return None
    now = {name: _identity(looker, source / name, before[name]) for name in names}
    return now if all((now[name] or [None])[-1] == (before[name] or [None])[-1] for name in names) else None


def _identity(looker: Looker, path: Path, known: list[Any] | None = None) -> list[Any] | None:
    found = looker.identity(str(path), FileIdentity.parse(known))
    return None if found is None else list(found)


def _decode(
    source: Path, names: list[str], resolution: int, progress: Callable[[int, int], None]
) -> tuple[np.ndarray, list[str], dict[str, str]]:
    pixels = np.empty((len(names), resolution, resolution, 3), np.uint8)
    kept: list[str] = []
    bad: dict[str, str] = {}
    for number, name in enumerate(names):
        try:
            pixels[len(kept)] = square(read_image(source / name).pixels, resolution)
            kept.append(name)
        except BadImage as error:
            bad[name] = str(error)
        progress(number + 1, len(names))
    return pixels, kept, bad


def square(pixels: np.ndarray, size: int) -> np.ndarray:
    """The centred square of uint8 [H, W, 3], resized to [size, size, 3]."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    picture = Image.fromarray(pixels[top : top + side, left : left + side])
    return np.asarray(picture if side == size else picture.resize((size, size), Image.Resampling.LANCZOS))
