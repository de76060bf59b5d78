"""Pictures that another program made, so that they can be judged as every other method's are (`mgi evaluate`).

Nothing is computed here: the pipeline reads the picture of a pair from `options.folder` (`tasks.given`).
`options.content` is a hash of the folder, so a run of other pictures is another run.
"""

from __future__ import annotations

import numpy as np

from mgi.config import RunConfig
from mgi.translators.base import Progress, Result, TranslatorError
from mgi.translators.registry import Method


class Given:
    """A `Translator` that is `Finished`; it only knows the size at which sources and exemplars are kept."""

    def __init__(self, config: RunConfig, device: str) -> None:
        self.config, self.picture_size = config, config.warp.image_size
        self.results = str(config.options.model_dump().get("folder", ""))

    def translate(
        self, source: np.ndarray, exemplar: np.ndarray, seed: int = 0, progress: Progress | None = None
    ) -> Result:
        """Never: the picture is in a file."""
        raise TranslatorError("given: results are read from a folder; use `mgi evaluate --results FOLDER`")


METHOD = Method(
    name="given",
    summary="finished pictures of another program, only judged (`mgi evaluate --results`)",
    paper="none: another program's",
    translator="mgi.translators.given:Given",
)
"""Shown in `mgi methods`, so that tables which name it can be read."""
