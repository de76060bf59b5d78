"""Small pictures of a run for its page and its sheet, made once and kept in RUN/report/.

What a lane and a warp show does not change (if an input is replaced, `tasks.renew` deletes its pair's pictures), so a
picture that exists is the right one. Only a result may be replaced by another, when a run grows: its picture is made
again if the result is newer. So a second report is cheap, and can be written without the generator.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image

from mgi.pairs import Hypothesis
from storage.atomic import write_bytes
from storage.run_store import RunStore, StoreCorrupt
from tasks.stages.invert import to_render
from tasks.stages.select import final_path
from tasks.unit import WARP, picture

if TYPE_CHECKING:
    from mgi.translators import Searches

MethodOrLoader: TypeAlias = "Searches | Callable[[], Searches] | None"
"""A loader is called only when a picture is missing, so a second report loads no networks."""

FOLDER = "report"
SMALL, LARGE = 256, 512
"""Longest side in pixels of inputs and hypotheses, and of results."""


class Pictures:
    """The picture files of one run. Every method returns a path relative to the run's folder, or None."""

    def __init__(self, store: RunStore, method: MethodOrLoader = None) -> None:
        self.store, self.method = store, method
        self.run = Path(store.path)

    def input(self, pair_id: str, name: str) -> str:
        """Source, exemplar or warp, as aligned and resized for the method."""
        return self._keep(f"{FOLDER}/{pair_id}/{name}.jpg", SMALL, lambda: picture(self.store, pair_id, name))

    def confidence(self, pair_id: str) -> str | None:
        """Where the warp is trusted, white; None if that is damaged or not known: the report does not need it."""
        try:
            found = self.store.value(WARP, pair_id, "warp/confidence")
        except (KeyError, StoreCorrupt):
            return None
        times = max(1, SMALL // len(found))
        large = np.repeat(np.kron(found, np.ones((times, times), np.uint8))[..., None], 3, axis=2)
        return self._keep(f"{FOLDER}/{pair_id}/confidence.jpg", SMALL, lambda: large)

    def result(self, pair_id: str) -> str | None:
        """The final picture, reduced; None when its file is missing."""
        final, path = final_path(self.run, pair_id), f"{FOLDER}/{pair_id}/result.jpg"
        if not final.is_file():
            return None
        if (self.run / path).is_file() and (self.run / path).stat().st_mtime_ns < final.stat().st_mtime_ns:
            (self.run / path).unlink()
        return self._keep(path, LARGE, lambda: _read(final))

    def final(self, pair_id: str) -> str | None:
        """The final picture itself."""
        final = final_path(self.run, pair_id)
        return final.relative_to(self.run).as_posix() if final.is_file() else None

    def hypothesis(self, pair_id: str, hypothesis_id: str, render: bool = True) -> str | None:
        """A hypothesis as rendered from its latents; None when it was never rendered and is not now.

        Args:
            pair_id, hypothesis_id: the lane.
            render: if there is no picture yet and a method is here.
        """
        path = f"{FOLDER}/{pair_id}/{hypothesis_id}.jpg"
        if (self.run / path).is_file():
            return path
        if self.method is None or not render:
            return None
        method = self.method() if callable(self.method) else self.method
        hypothesis = Hypothesis.parse(hypothesis_id)

        def made() -> np.ndarray:
            arrays = to_render(self.store, method.lane_arrays(hypothesis), pair_id, hypothesis_id)
            return method.preview(arrays, hypothesis)

        return self._keep(path, SMALL, made)

    def read(self, path: str | None) -> np.ndarray | None:
        """Pixels of one of the files above, uint8 [H,W,3]."""
        return None if path is None else _read(self.run / path)

    def _keep(self, path: str, side: int, make: Callable[[], np.ndarray]) -> str:
        if not (self.run / path).is_file():
            image = Image.fromarray(make())
            image.thumbnail((side, side), Image.Resampling.LANCZOS)
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=90, subsampling=0)  # ten times faster to write than WebP
            write_bytes(self.run / path, buffer.getvalue())
        return path


def _read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
