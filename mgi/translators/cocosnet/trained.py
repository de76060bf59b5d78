"""CoCosNet as `mgi train translator cocosnet` made it: with the warp beside the result, and a choice of matching."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor

from mgi.config import RunConfig
from mgi.images import resize, to_uint8
from mgi.systems.cocosnet import CoCosNet as System
from mgi.translators.base import Result
from mgi.translators.trained import OPTIONS, TrainedTranslator, one_of

MATCHINGS = ("full", "patchmatch")
OUTPUTS = ("result", "warp")


class TrainedCoCosNet(TrainedTranslator):
    """`options.matching` overrules how the model was trained to match; `options.output` is the result or the warp."""

    options = (*OPTIONS, "matching", "output")

    def __init__(self, config: RunConfig, device: str) -> None:
        super().__init__(config, device)
        given = config.options.model_dump()
        matching = given.get("matching")
        self._matching = one_of("matching", matching, MATCHINGS) if matching is not None else ""
        self._output = one_of("output", given.get("output", "result"), OUTPUTS)

    @torch.no_grad()
    def _result(self, a: Tensor, exemplar: np.ndarray, condition: Tensor, seed: int) -> Result:
        system, random = cast("System", self.system), torch.Generator().manual_seed(seed)
        warp = system.warp(a, self._guided(exemplar, condition), random, self._matching)
        image = warp if self._output == "warp" else system.generator(warp, a)
        size = image.shape[-1] * self.config.upsampling
        return Result(to_uint8(resize(image.clamp(-1, 1), size))[0], to_uint8(warp.clamp(-1, 1))[0])
