"""Frozen feature networks behind one protocol: named layers in, a pyramid of features out."""

from __future__ import annotations

import torch

from mgi.devices import Precision
from mgi.features.base import Backbone, FeatureError
from mgi.features.chain import Chain
from mgi.features.vgg import VGG, read_vgg
from mgi.near import near

__all__ = ["VGG", "Backbone", "Chain", "FeatureError", "load_backbone"]

BACKBONES = (
    "vgg16-imagenet",
    "vgg19-imagenet",
    "resnet50-imagenet",
    "lpips-vgg",
    "inception-fid",
    "efficientnet-lite0",
    "ir-se50",
)


def load_backbone(name: str, device: str | torch.device = "cpu", precision: Precision = "fp32") -> Backbone:
    """F(x; W) of MGI equations 1-2: a frozen feature network of the zoo; fetches its weights if that is allowed.

    Args:
        name: one of `BACKBONES`, or a descriptor of the zoo.
        device: where its weights are; images must be there too.
        precision: bf16 computes convolutions in bfloat16 (VGG only); features are float32 either way.

    Raises:
        FeatureError: unknown name, or a file that does not hold this network.
        mgi.weights.WeightsError: the weights are missing or corrupt.
    """
    from mgi import weights

    if name.startswith("descriptor-"):
        from mgi.features.descriptor import read_descriptor, read_facts

        file = weights.path(name)
        return read_descriptor(file, load_backbone(read_facts(file).backbone, device)).to(device)
    if name not in BACKBONES:
        raise FeatureError(
            f"unknown feature network {name!r}{near(name, BACKBONES)}; use one of {', '.join(BACKBONES)}"
        )
    path = weights.path(name)
    if name == "inception-fid":
        from safetensors.torch import load_file

        from mgi.features.inception import InceptionFID

        return InceptionFID(load_file(path)).to(device)
    if name == "ir-se50":
        from safetensors.torch import load_file

        from mgi.features.ir_se50 import ir_se50

        return ir_se50(load_file(path)).to(device)
    if name == "lpips-vgg":
        from mgi.features.lpips import read_lpips

        return read_lpips(path, precision).to(device)
    if name == "resnet50-imagenet":
        from mgi.features.resnet import read_resnet

        return read_resnet(name, path).to(device)
    if name == "efficientnet-lite0":
        from mgi.features.efficientnet import read_efficientnet

        return read_efficientnet(name, path).to(device)
    return read_vgg(name, path, precision).to(device)
