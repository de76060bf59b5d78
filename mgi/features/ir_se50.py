"""IR-SE-50, the face network of ArcFace (Deng et al., CVPR 2019; squeeze and excitation: Hu et al., CVPR 2018).

Its vector says who a face is: the cosine between two of them is an identity similarity. Names of parameters are those
of the public checkpoint (`model_ir_se50.pth`, TreB1eN/InsightFace_Pytorch), which inversion encoders also start from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.features.base import FeatureError, require_layers

NAME, LAYER, DIMENSIONS = "ir-se50", "embedding", 512
STAGES = ((64, 3), (128, 4), (256, 14), (512, 3))
"""Channels of each stage and its blocks; the first block of each halves the size."""
TOP, LEFT, SIDE, OF = 35, 32, 188, 256
"""The part of an aligned face of 256 rows that is looked at (public code of pSp), as 112 x 112."""
SEEN = 112
REDUCTION = 16


class Excitation(nn.Module):
    """Scales every channel by what all channels' means say."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // REDUCTION, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // REDUCTION, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, C, h, w]."""
        return x * torch.sigmoid(self.fc2(F.relu(self.fc1(x.mean((2, 3), keepdim=True)))))


class Block(nn.Module):
    """Two convolutions next to a shortcut, excited (IR-SE) or not (IR)."""

    def __init__(self, inputs: int, outputs: int, stride: int, excited: bool = True) -> None:
        super().__init__()
        if inputs == outputs:
            self.shortcut_layer: nn.Module = nn.MaxPool2d(1, stride)
        else:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut_layer = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            *([Excitation(outputs)] if excited else []),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, I, h, w] -> [B, O, h / stride, w / stride]."""
        found: Tensor = self.res_layer(x) + self.shortcut_layer(x)
        return found


def stem(inputs: int = 3) -> nn.Sequential:
    """The first layer: pictures [B, I, R, R] -> [B, 64, R, R]."""
    width = STAGES[0][0]
    return nn.Sequential(nn.Conv2d(inputs, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width))


def bodies() -> nn.Sequential:
    """The 24 blocks: [B, 64, R, R] -> [B, 512, R / 16, R / 16]."""
    blocks, inputs = [], STAGES[0][0]
    for channels, count in STAGES:
        for number in range(count):
            blocks.append(Block(inputs, channels, 1 if number else 2))
            inputs = channels
    return nn.Sequential(*blocks)


class IRSE50(nn.Module):
    """A `Backbone` with the one layer `embedding`, a vector of unit length: [B, 512, 1, 1]."""

    name, unit = NAME, 1.0

    def __init__(self) -> None:
        super().__init__()
        self.input_layer, self.body = stem(), bodies()
        width = STAGES[-1][0]
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.Dropout(0.0),
            nn.Flatten(),
            nn.Linear(width * 7 * 7, DIMENSIONS),
            nn.BatchNorm1d(DIMENSIONS),
        )

    @property
    def layers(self) -> tuple[str, ...]:
        """`embedding`."""
        return (LAYER,)

    def channels(self, layer: str) -> int:
        """512."""
        require_layers(self.name, self.layers, [layer])
        return DIMENSIONS

    def forward(self, images: Tensor, layers: Sequence[str] = (LAYER,)) -> dict[str, Tensor]:
        """Aligned faces [B, 3, R, R] in [-1, 1], cropped to what the network is trained on."""
        require_layers(self.name, self.layers, layers)
        rows = images.shape[-1] / OF
        top, left, side = (round(pixels * rows) for pixels in (TOP, LEFT, SIDE))
        seen = F.adaptive_avg_pool2d(images[:, :, top : top + side, left : left + side], SEEN)
        return {LAYER: self.embedding(seen)[:, :, None, None]}

    def embedding(self, faces: Tensor) -> Tensor:
        """Cropped faces [B, 3, 112, 112] in [-1, 1] -> unit vectors [B, 512]."""
        found: Tensor = self.output_layer(self.body(self.input_layer(faces)))
        return found / found.norm(dim=1, keepdim=True)


def ir_se50(tensors: Mapping[str, Tensor]) -> IRSE50:
    """The network with a checkpoint's tensors, frozen.

    Raises:
        FeatureError: they are another network's; one line that names the first one that does not fit.
    """
    with torch.device("meta"):
        network = IRSE50()
    own = network.state_dict()
    for key in own:
        if key.endswith("num_batches_tracked"):
            continue
        wanted, found = list(own[key].shape), list(tensors[key].shape) if key in tensors else None
        if wanted != found:
            raise FeatureError(f"{NAME}: {key}: expected {wanted}, found {found}; bring model_ir_se50.pth again")
    steps = torch.zeros((), dtype=torch.long)
    kept = {key: tensors[key].float() if not key.endswith("num_batches_tracked") else steps for key in own}
    network.load_state_dict(kept, assign=True)
    return network.eval().requires_grad_(False)
