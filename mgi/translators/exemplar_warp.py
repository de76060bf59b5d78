"""The warped exemplar itself, without an inversion: the baseline in the first row of every table of both papers.

With `warp.method = oeft` it is OEFT's warp. The warp has `warp.image_size` rows; the result is enlarged by
`upsampling`, as an inversion's would be, so that both can be compared side by side.
"""

from __future__ import annotations

import numpy as np

from mgi.config import RunConfig
from mgi.features import Backbone, load_backbone
from mgi.features.descriptor import Descriptor
from mgi.images import resize, to_float, to_uint8
from mgi.translators.base import Progress, Result, Warped
from mgi.translators.descriptors import load_descriptor
from mgi.translators.needs import warp_networks
from mgi.translators.options import known_options
from mgi.translators.registry import Method
from mgi.translators.warping import warp_pictures


class ExemplarWarp:
    """A `Translator` that `Warps`.

    Args:
        config: sections `warp` and `oeft`.
        device: torch device of its networks.

    Raises:
        ConfigError: an option, of which it knows none.
    """

    def __init__(self, config: RunConfig, device: str) -> None:
        known_options(config, METHOD.name, ())
        self.config, self._device = config, device
        self._networks: dict[str, Backbone] = {}
        self._descriptor: Descriptor | None = None
        self._described = False

    @property
    def picture_size(self) -> int:
        """Rows of pictures and warps."""
        return self.config.warp.image_size

    def warp(self, source: np.ndarray, exemplar: np.ndarray, progress: Progress | None = None, seed: int = 0) -> Warped:
        """MGI equations 1-6."""
        if not self._described:
            self._descriptor = load_descriptor(self.config, self._network, self._device)
            self._described = True
        return warp_pictures(
            self.config, self._network, self._descriptor, self._device, source, exemplar, seed, progress
        )

    def translate(
        self, source: np.ndarray, exemplar: np.ndarray, seed: int = 0, progress: Progress | None = None
    ) -> Result:
        """The warp, enlarged by `config.upsampling`."""
        warped = self.warp(source, exemplar, progress, seed)
        large = resize(to_float(warped.warp), self.picture_size * self.config.upsampling)
        return Result(to_uint8(large)[0], warped.warp, info=warped.info)

    def _network(self, name: str) -> Backbone:
        if name not in self._networks:
            self._networks[name] = load_backbone(name, self._device)
        return self._networks[name]


METHOD = Method(
    name="exemplar-warp",
    summary="the warped exemplar itself, without an inversion",
    paper="Kang 2021, equations 1-6; OEFT equations 1-11",
    translator="mgi.translators.exemplar_warp:ExemplarWarp",
    needs=warp_networks,
)
