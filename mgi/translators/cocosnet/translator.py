"""CoCosNet: the exemplar in the place of a photograph of which only a condition is known, such as its labels.

`options.model` is a file that `mgi train translator cocosnet` made (`mgi.translators.cocosnet.trained`). Otherwise
`options.correspondence` and `options.generator` are released or own files of the public code (microsoft/CoCosNet:
`latest_net_Corr.pth`, `latest_net_G.pth`), which do not ship. `options.labels` is a folder with a map for every picture
that is read, called as the picture: NAME.png of class numbers (and NAME_eye_g.png of glasses, as CelebAMask-HQ has
them), or NAME.npy [C, h, w] for conditions that are no labels, such as edges and poses. `options.warp` says how the
networks were trained: bilinear (faces), nearest (ADE20K) or patches (DeepFashion); `options.output` is the result or
the `warp` alone, `options.matching` all pairs of cells (`full`) or `patchmatch`.
"""

from __future__ import annotations

from typing import Any, cast, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.config import ConfigError, RunConfig
from mgi.images import resize, to_float, to_uint8
from mgi.systems.cocosnet_networks import Enlarging
from mgi.systems.matching import full
from mgi.systems.patchmatch import patchmatcher
from mgi.translators.base import Progress, Result, TranslatorError
from mgi.translators.cocosnet.files import NAME, read_networks
from mgi.translators.cocosnet.trained import MATCHINGS, OUTPUTS, TrainedCoCosNet
from mgi.translators.options import known_options
from mgi.translators.registry import Method
from mgi.translators.trained import one_of
from mgi.weights import WeightsMissing

OPTIONS = ("correspondence", "generator", "labels", "warp", "output", "unlabelled", "matching")
SIZE = 256
"""Rows that the public networks are trained for."""
GLASSES = -3
"""Channel of glasses, counted from the last, in CelebAMask-HQ's 19 classes."""

NOTHING = (
    "cocosnet: expected options.model, a file that `mgi train translator cocosnet` made, or options.correspondence and "
    "options.generator, files of the public code (microsoft/CoCosNet), found none of them"
)


class CoCosNet:
    """A `Translator` that is `Conditioned`; with `options.model` a `TrainedCoCosNet`.

    Raises:
        mgi.weights.WeightsMissing: the user has named no files, or they are not there.
        ConfigError: another option, or files of another layout.
    """

    def __new__(cls, config: RunConfig, device: str) -> Any:
        """One name for what is trained here and what others released."""
        return TrainedCoCosNet(config, device) if "model" in config.options.model_dump() else super().__new__(cls)

    def __init__(self, config: RunConfig, device: str) -> None:
        self.config, self._device = config, device
        given = known_options(config, NAME, OPTIONS)
        self._warp = cast("Enlarging", one_of("warp", given.get("warp", "bilinear"), get_args(Enlarging)))
        self._output = one_of("output", given.get("output", "result"), OUTPUTS)
        self._matching = one_of("matching", given.get("matching", "full"), MATCHINGS)
        self._unlabelled = bool(given.get("unlabelled", False))
        if not given.get("correspondence") and not given.get("generator"):
            raise WeightsMissing(NOTHING)
        self._correspondence, self._generator = read_networks(
            given.get("correspondence"), given.get("generator"), device
        )
        self.conditions = str(given.get("labels") or "")
        if not self.conditions:
            raise ConfigError("options.labels: expected a folder with a map of every picture, found none")

    @property
    def picture_size(self) -> int:
        """Rows of pictures."""
        return SIZE

    def translate(
        self, source: np.ndarray, exemplar: np.ndarray, seed: int = 0, progress: Progress | None = None
    ) -> Result:
        """Never: it needs the conditions, too."""
        raise TranslatorError("cocosnet: expected the conditions of both pictures; use translate_conditioned")

    @torch.no_grad()
    def translate_conditioned(
        self,
        pictures: tuple[np.ndarray, np.ndarray],
        conditions: tuple[np.ndarray, np.ndarray],
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Result:
        """The picture of 256 rows and its warp; `seed` draws the noise of `options.unlabelled`."""
        source, exemplar = (self._channels(condition) for condition in conditions)
        if self._unlabelled:
            exemplar = 0.01 * torch.randn(exemplar.shape, generator=torch.Generator().manual_seed(seed)).to(exemplar)
        matcher = full if self._matching == "full" else patchmatcher(torch.Generator().manual_seed(seed))
        warp = self._correspondence(source, to_float(pictures[1], self._device), exemplar, self._warp, matcher)
        shown = to_uint8(warp.clamp(-1, 1))[0]
        if self._output == "warp":
            return Result(to_uint8(resize(warp.clamp(-1, 1), SIZE * self.config.upsampling))[0], shown)
        return Result(to_uint8(self._generator(warp, source))[0], shown)

    def _channels(self, condition: np.ndarray) -> Tensor:
        """Class numbers [1, S, S], numbers and glasses [2, S, S], or channels [C, S, S] -> [1, C, S, S]."""
        wanted = self._correspondence.shape.maps
        values = torch.from_numpy(np.ascontiguousarray(condition)).float().to(self._device)
        if len(values) == wanted:
            return values[None]
        if len(values) > 2:
            raise TranslatorError(f"expected a condition of {wanted} channels or a map of labels, found {len(values)}")
        labels = values[0].long()
        if int(labels.max()) >= wanted:
            raise TranslatorError(f"expected labels below {wanted}, found {int(labels.max())}")
        found = F.one_hot(labels, wanted).permute(2, 0, 1).float()
        if len(values) == 2:
            found[GLASSES] = torch.maximum(found[GLASSES], (values[1] > 127).float())
        return found[None]


METHOD = Method(
    name=NAME,
    summary="the exemplar warped to the source's condition and repaired by a generator; ours by options.model",
    paper="Zhang et al., CVPR 2020",
    translator="mgi.translators.cocosnet.translator:CoCosNet",
    brings=("options.model, or options.correspondence with options.generator and options.labels",),
)
