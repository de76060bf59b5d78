"""The Inception-v3 that defines FID, as a frozen feature network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mgi.features.base import FeatureError, require_layers

_CHANNELS = {"pool1": 64, "pool2": 192, "mixed_6e": 768, "mixed_7c": 2048, "pool3": 2048, "logits": 1008}


class InceptionFID(nn.Module):
    """pytorch-fid's InceptionV3 with named layers.

    `pool1` and `pool2` follow the two max poolings, `mixed_6e` precedes the auxiliary classifier, `mixed_7c` is the
    last map, `pool3` its mean over positions, [B, 2048, 1, 1], which FID uses, and `logits` the classes' without their
    bias, [B, 1008, 1, 1], which the Inception score uses.

    Args:
        state: the state dict that pytorch-fid publishes (`pt_inception-2015-12-05-6726825d.pth`).
    """

    def __init__(self, state: Mapping[str, Tensor], name: str = "inception-fid") -> None:
        super().__init__()
        self.name, self.unit = name, 1.0
        stages = _network(state, name)
        self.stages = nn.ModuleDict(stages).eval().requires_grad_(False)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names from shallow to deep."""
        return tuple(_CHANNELS)

    def channels(self, layer: str) -> int:
        """Channels of a layer's feature."""
        require_layers(self.name, _CHANNELS, [layer])
        return _CHANNELS[layer]

    def forward(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Images [B, 3, H, W] in [-1, 1], resized to 299 x 299 as pytorch-fid does -> {layer: float32 [B, C, h, w]}."""
        require_layers(self.name, _CHANNELS, layers)
        # pytorch-fid interpolates without antialiasing; FID numbers depend on it.
        x = nn.functional.interpolate(images, size=(299, 299), mode="bilinear", align_corners=False)
        found: dict[str, Tensor] = {}
        for layer, stage in self.stages.items():
            x = stage(x)
            if layer in layers:
                found[layer] = x.float()
                if len(found) == len(set(layers)):
                    break
        return {layer: found[layer] for layer in layers}


def _network(state: Mapping[str, Tensor], name: str) -> dict[str, nn.Module]:
    # Imported here: torchvision takes a second to import and most runs never need Inception.
    from pytorch_fid.inception import FIDInceptionA, FIDInceptionC, FIDInceptionE_1, FIDInceptionE_2
    from torchvision.models import Inception3

    with torch.random.fork_rng(devices=[]):  # Building it draws initial weights; no caller's random numbers may change.
        net = Inception3(num_classes=1008, aux_logits=False, init_weights=False)
    net.Mixed_5b, net.Mixed_5c, net.Mixed_5d = FIDInceptionA(192, 32), FIDInceptionA(256, 64), FIDInceptionA(288, 64)
    net.Mixed_6b, net.Mixed_6c = FIDInceptionC(768, 128), FIDInceptionC(768, 160)
    net.Mixed_6d, net.Mixed_6e = FIDInceptionC(768, 160), FIDInceptionC(768, 192)
    net.Mixed_7b, net.Mixed_7c = FIDInceptionE_1(1280), FIDInceptionE_2(2048)
    problem = net.load_state_dict(dict(state), strict=False)
    missing = [key for key in problem.missing_keys if not key.endswith("num_batches_tracked")]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise FeatureError(f"{name}: tensor {missing[0]} is missing{more}; fetch the weights again")
    pool = nn.MaxPool2d(kernel_size=3, stride=2)
    classes = nn.Conv2d(2048, 1008, 1, bias=False)
    classes.weight.data = net.fc.weight.data[:, :, None, None].clone()
    return {
        "pool1": nn.Sequential(net.Conv2d_1a_3x3, net.Conv2d_2a_3x3, net.Conv2d_2b_3x3, pool),
        "pool2": nn.Sequential(net.Conv2d_3b_1x1, net.Conv2d_4a_3x3, pool),
        "mixed_6e": nn.Sequential(
            *(net.Mixed_5b, net.Mixed_5c, net.Mixed_5d),
            *(net.Mixed_6a, net.Mixed_6b, net.Mixed_6c, net.Mixed_6d, net.Mixed_6e),
        ),
        "mixed_7c": nn.Sequential(net.Mixed_7a, net.Mixed_7b, net.Mixed_7c),
        "pool3": nn.AdaptiveAvgPool2d(1),
        "logits": classes,
    }
