"""AdaIN (Huang and Belongie, ICCV 2017): the source's features with the exemplar's means and deviations, decoded.

Encoder and decoder are the user's, in the layout of the public PyTorch port (naoto0804): `options.encoder` is the
normalised VGG (`vgg_normalised.pth`), `options.decoder` the decoder (`decoder.pth`); neither ships. `options.alpha`
(1.0) mixes the result's features with the source's.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.config import ConfigError, RunConfig
from mgi.images import resize, to_float, to_uint8
from mgi.translators.base import Progress, Result
from mgi.translators.options import known_options
from mgi.translators.registry import Method
from mgi.translators.released import read_released

ENCODER: tuple[int | str, ...] = (0, 2, "relu", 5, "relu", "pool", 9, "relu", 12, "relu", "pool")
ENCODER += (16, "relu", 19, "relu", 22, "relu", 25, "relu", "pool", 29, "relu")
"""Numbers of convolutions in the file, to relu4_1; all but the first see one more pixel on each side, mirrored."""
DECODER: tuple[int | str, ...] = (1, "relu", "up", 5, "relu", 8, "relu", 11, "relu", 14, "relu", "up", 18, "relu", 21)
DECODER += ("relu", "up", 25, "relu", 28)
OPTIONS = ("encoder", "decoder", "alpha")


def adain(content: Tensor, style: Tensor) -> Tensor:
    """Equation 8: features [B, C, h, w] with the channels' means and deviations of others."""
    (spread_x, mean_x), (spread_y, mean_y) = (_moments(features) for features in (content, style))
    return (content - mean_x) / spread_x * spread_y + mean_y


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(features, (2, 3), keepdim=True)
    return (variance + 1e-5).sqrt(), mean


def run(tensors: Mapping[str, Tensor], steps: tuple[int | str, ...], x: Tensor) -> Tensor:
    """A chain of convolutions, by their numbers in the file, and of what is between them."""
    for step in steps:
        if step == "relu":
            x = F.relu(x)
        elif step == "pool":
            x = F.max_pool2d(x, 2, 2, ceil_mode=True)
        elif step == "up":
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        else:
            weight = tensors[f"{step}.weight"]
            padded = F.pad(x, (1, 1, 1, 1), "reflect") if weight.shape[-1] == 3 else x
            x = F.conv2d(padded, weight, tensors[f"{step}.bias"])
    return x


class AdaIN:
    """A `Translator`; its pictures have `warp.image_size` rows.

    Raises:
        mgi.weights.WeightsMissing: the user has named no files, or they are not there.
        ConfigError: another option, or files of another layout.
    """

    def __init__(self, config: RunConfig, device: str) -> None:
        self.config, self._device = config, device
        given = known_options(config, "adain", OPTIONS)
        self._alpha = float(given.get("alpha", 1.0))
        self._encoder = _read(given.get("encoder"), "encoder", ENCODER, device)
        self._decoder = _read(given.get("decoder"), "decoder", DECODER, device)

    @property
    def picture_size(self) -> int:
        """Rows of pictures."""
        return self.config.warp.image_size

    @torch.no_grad()
    def translate(
        self, source: np.ndarray, exemplar: np.ndarray, seed: int = 0, progress: Progress | None = None
    ) -> Result:
        """The source restyled, enlarged by `upsampling`. Nothing is random."""
        x, y = ((to_float(image, self._device) + 1) / 2 for image in (source, exemplar))
        content, style = run(self._encoder, ENCODER, x), run(self._encoder, ENCODER, y)
        features = self._alpha * adain(content, style) + (1 - self._alpha) * content
        image = run(self._decoder, DECODER, features).clamp(0, 1) * 2 - 1
        return Result(to_uint8(resize(image, self.picture_size * self.config.upsampling))[0])


def _read(path: object, name: str, steps: tuple[int | str, ...], device: str) -> dict[str, Tensor]:
    tensors = read_released("adain", name, path, "the public port (naoto0804)")
    for step in (step for step in steps if isinstance(step, int)):
        for kind, axes in (("weight", 4), ("bias", 1)):
            tensor = tensors.get(f"{step}.{kind}")
            if tensor is None or tensor.ndim != axes:
                shape = "none" if tensor is None else list(tensor.shape)
                raise ConfigError(f"options.{name}: expected {step}.{kind} of {axes} axes, found {shape}")
    return {key: tensor.to(device) for key, tensor in tensors.items()}


METHOD = Method(
    name="adain",
    summary="the source's features with the exemplar's means and deviations, by the user's encoder and decoder",
    paper="Huang and Belongie, ICCV 2017",
    translator="mgi.translators.adain:AdaIN",
    brings=("options.encoder", "options.decoder"),
)
