"""LPIPS on VGG-16 (Zhang et al., CVPR 2018): torchvision's convolutions and the learnt channel weights of five layers.

The channel weights come with the package `lpips`; the convolutions are the zoo's `lpips-vgg`. Its distance is
`inversion.perceptual_norm = "lpips"`, for which this backbone brings `heads`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from mgi.devices import Precision
from mgi.features.base import FeatureError
from mgi.features.vgg import VGG

LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
_CONVOLUTIONS = (2, 2, 3, 3, 3)


class LPIPS(VGG):
    """VGG-16 with `heads`: {layer: [C]}, the non-negative weights of its channels."""

    def __init__(self, tensors: Mapping[str, Tensor], heads: Mapping[str, Tensor], precision: Precision) -> None:
        super().__init__("lpips-vgg", tensors, "torchvision-rgb", precision)
        for layer, weight in heads.items():
            self.register_buffer(f"head_{layer}", weight.float().flatten())

    @property
    def heads(self) -> dict[str, Tensor]:
        """Weights of the channels of every layer of the distance."""
        return {layer: self.get_buffer(f"head_{layer}") for layer in LAYERS}


def read_lpips(path: Path, precision: Precision = "fp32") -> LPIPS:
    """The backbone from the zoo's file and the package's heads.

    Raises:
        FeatureError: one of them holds something else.
    """
    return LPIPS(named(load_file(path)), read_heads(), precision)


def named(features: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's `features.N.weight` -> `conv{block}_{index}.weight`: pooling layers count in N too."""
    tensors, position = {}, 0
    for block, count in enumerate(_CONVOLUTIONS, start=1):
        for index in range(1, count + 1):
            for kind in ("weight", "bias"):
                key = f"features.{position}.{kind}"
                if key not in features:
                    raise FeatureError(f"lpips-vgg: tensor {key} is missing; fetch the weights again")
                tensors[f"conv{block}_{index}.{kind}"] = features[key]
            position += 2
        position += 1
    return tensors


def read_heads() -> dict[str, Tensor]:
    """The learnt channel weights that the package `lpips` carries, by layer."""
    spec = importlib.util.find_spec("lpips")
    if spec is None or spec.origin is None:
        raise FeatureError("lpips-vgg needs the package lpips; run `pip install 'mgi[metrics]'`")
    state = torch.load(Path(spec.origin).parent / "weights/v0.1/vgg.pth", map_location="cpu", weights_only=True)
    return {layer: state[f"lin{number}.model.1.weight"].flatten() for number, layer in enumerate(LAYERS)}
