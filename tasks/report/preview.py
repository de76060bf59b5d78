"""The preview of a run: something to look at after the first warp, long before the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from storage.run_store import RunStore

GAP = 4
"""White columns between two images, in pixels."""


def strip(images: Sequence[np.ndarray]) -> np.ndarray:
    """Images side by side, scaled to the first one's height.

    Args:
        images: uint8 [H,W,3] each, of any size.

    Returns:
        uint8 [H, sum of widths + gaps, 3].
    """
    from PIL import Image  # not at the top: commands that show no picture also ask for the preview's path

    height = images[0].shape[0]
    gap = np.full((height, GAP, 3), 255, np.uint8)
    parts: list[np.ndarray] = []
    for image in images:
        if image.shape[0] != height:
            width = max(1, round(image.shape[1] * height / image.shape[0]))
            image = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))
        parts += [gap, image] if parts else [image]
    return np.concatenate(parts, axis=1)


def preview_path(store: RunStore) -> Path:
    """The path of the run's preview."""
    return Path(store.path) / "preview.png"


def write_preview(store: RunStore, images: Sequence[np.ndarray]) -> None:
    """Write the run's preview: source, exemplar, warp and, when there is one, the first hypothesis."""
    from storage.images import write_png

    write_png(preview_path(store), strip(images))
