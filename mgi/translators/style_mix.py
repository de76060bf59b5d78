"""Style mixing of two inversions, without a warp and without a search: the honest baseline beside the inversions.

Source and exemplar are inverted by the profile's cheapest hypothesis; the image takes the source's codes and coarse
styles and the exemplar's styles from `inversion.mix_rows` on. Needs a generator with styles.
"""

from __future__ import annotations

import numpy as np
import torch

from mgi.config import RunConfig
from mgi.images import to_uint8
from mgi.translators.base import Progress, Result
from mgi.translators.inversion.engine import Engine
from mgi.translators.inversion.mixing import Mixer
from mgi.translators.inversion.rendering import scale_down
from mgi.translators.needs import Roles, loss_networks
from mgi.translators.options import known_options
from mgi.translators.registry import Method


class StyleMix:
    """A `Translator`.

    Args:
        config: section `inversion`.
        device: torch device of its networks.

    Raises:
        ConfigError: the generator has no styles, `inversion.space` is not `multi`, or there is an option.
    """

    def __init__(self, config: RunConfig, device: str) -> None:
        known_options(config, METHOD.name, ())
        self.config = config
        self._engine = Engine(config, device)
        self._mixer = Mixer(self._engine)

    @property
    def picture_size(self) -> int:
        """Rows of pictures."""
        return self._engine.compare.picture

    @torch.no_grad()
    def translate(
        self, source: np.ndarray, exemplar: np.ndarray, seed: int = 0, progress: Progress | None = None
    ) -> Result:
        """The mix at `warp.image_size` x `upsampling` rows. Nothing in it is random: `seed` changes nothing."""
        with torch.enable_grad():
            latents = self._mixer.mixed(source, exemplar, progress)
        hypothesis = self._mixer.hypothesis
        image = self._engine.space.images([latents], hypothesis.composing_layer, scale_down(self._engine))
        info: dict[str, float | str] = {"inverted_by": hypothesis.id}
        return Result(to_uint8(image)[0], info=info)


def _networks(config: RunConfig) -> Roles:
    return [("generator", config.generator), *loss_networks(config)]


METHOD = Method(
    name="style-mix",
    summary="the source's coarse styles with the exemplar's fine ones, from inversions of both; no warp",
    paper="Karras 2019 (style mixing)",
    translator="mgi.translators.style_mix:StyleMix",
    needs=_networks,
)
