"""How many faces the pictures of a run have, for one pair of each (`align.faces = "all"`)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mgi.alignment.aligner import Aligner
from mgi.config import Align
from storage.images import BadImage, read_image


def count_faces(settings: Align, folder: str, names: Iterable[str]) -> dict[str, int]:
    """{name: faces}, at least 1: a picture without a face, or that cannot be read, has one pair as without this.

    Args:
        settings: how to look.
        folder: of the pictures.
        names: below it; each is read once, about 0.1 s per picture.

    Raises:
        mgi.weights.WeightsError: the detector is missing.
    """
    aligner, wanted = Aligner(settings, size=1), list(dict.fromkeys(names))
    counts: dict[str, int] = {}
    for name in wanted:
        try:
            counts[name] = max(1, len(aligner.faces(read_image(Path(folder) / name).pixels)))
        except (BadImage, OSError):
            counts[name] = 1  # the pair will say why
    return counts
