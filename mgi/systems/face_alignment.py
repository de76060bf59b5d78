"""Where a face's eyes, nose, mouth and chin are: the masks of StarGAN v2's high-pass skip.

The network is that of Wang et al., *Adaptive Wing Loss for Robust Face Alignment*, ICCV 2019 (one hourglass of Bulat
and Tzimiropoulos 2017 with coordinates), whose weights the public code of StarGAN v2 brings (`wing.ckpt`); parameters
are named as there. It is never trained here.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.config import ConfigError
from mgi.generators.base import GeneratorError
from mgi.generators.checkpoints import label, plain_tensors, read_content

POINTS = 98
SIZE, ROWS = 256, 64
"""Pixels that it sees, and rows of its heat maps."""
DEPTH = 4
CHIN, BROWS, NOSTRILS, EYES = slice(8, 25), slice(33, 51), slice(55, 60), slice(60, 76)
UPPER_LIP, LOWER_LIP, INNER_LIPS, MOUTH = slice(77, 82), slice(83, 88), slice(88, 96), slice(76, 96)
UNDER_NOSE = slice(52, 55)
MOVED: tuple[tuple[slice, int, int], ...] = (
    (CHIN, 0, 3),
    (BROWS, 7, 2),
    (NOSTRILS, -8, 4),
    (UPPER_LIP, 8, 4),
    (LOWER_LIP, -8, 4),
    (INNER_LIPS, 2, 3),
)
"""(points, rows downwards, power): where the public code moves heat maps to, and how it narrows them."""
UNUSED = (*range(8), *range(25, 33), 33, 46, 76, 82)
"""The cheeks' half of the jaw, and ends of brows and lips."""


class Norm(nn.BatchNorm2d):
    """Batch normalisation by the stored statistics, also while something else learns."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] -> likewise."""
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)


class Coordinates(nn.Module):
    """A convolution that also sees where it is: row, column and distance from the centre, in [-1, 1]."""

    def __init__(self, size: int, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv
        line = torch.linspace(-1, 1, size)
        rows, columns = torch.meshgrid(line, line, indexing="ij")
        away = torch.hypot(rows, columns)
        self.register_buffer("places", torch.stack([rows, columns, away / away.max()])[None], persistent=False)

    places: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, size, size] -> [B, O, h, w]."""
        found: Tensor = self.conv(torch.cat([x, self.places.expand(len(x), -1, -1, -1)], 1))
        return found


class Block(nn.Module):
    """Three convolutions, each on what the one before it said; all that they say side by side, and a shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half, quarter = outputs // 2, outputs // 4
        self.bn1, self.bn2, self.bn3 = Norm(inputs), Norm(half), Norm(quarter)
        self.conv1 = nn.Conv2d(inputs, half, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(half, quarter, 3, padding=1, bias=False)
        self.conv3 = nn.Conv2d(quarter, quarter, 3, padding=1, bias=False)
        self.downsample = (
            nn.Sequential(Norm(inputs), nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False))
            if inputs != outputs
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, I, h, w] -> [B, O, h, w]."""
        first = self.conv1(F.relu(self.bn1(x)))
        second = self.conv2(F.relu(self.bn2(first)))
        third = self.conv3(F.relu(self.bn3(second)))
        found: Tensor = torch.cat([first, second, third], 1) + self.downsample(x)
        return found


class HourGlass(nn.Module):
    """Down to 4 rows and back up, with a branch at every size: [B, 256, 64, 64] -> likewise."""

    def __init__(self) -> None:
        super().__init__()
        self.coordconv = Coordinates(ROWS, nn.Conv2d(256 + 3, 256, 1))
        for level in range(1, DEPTH + 1):
            for branch in ("b1", "b2", "b3"):
                self.add_module(f"{branch}_{level}", Block(256, 256))
        self.b2_plus_1 = Block(256, 256)

    def forward(self, x: Tensor) -> Tensor:
        """The features."""
        return self._level(DEPTH, self.coordconv(x))

    def _level(self, level: int, x: Tensor) -> Tensor:
        beside, down, up = (self.get_submodule(f"b{number}_{level}") for number in (1, 2, 3))
        low = down(F.avg_pool2d(x, 2))
        low = self._level(level - 1, low) if level > 1 else self.b2_plus_1(low)
        found: Tensor = beside(x) + F.interpolate(up(low), scale_factor=2, mode="nearest")
        return found


class FaceAlignment(nn.Module):
    """Pictures -> heat maps of 98 points. It has 6,333,603 parameters, as the public code's."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Coordinates(SIZE, nn.Conv2d(3 + 3, 64, 7, 2, 3))
        self.bn1 = Norm(64)
        self.conv2, self.conv3, self.conv4 = Block(64, 128), Block(128, 128), Block(128, 256)
        self.m0, self.top_m_0 = HourGlass(), Block(256, 256)
        self.conv_last0, self.bn_end0 = nn.Conv2d(256, 256, 1), Norm(256)
        self.l0 = nn.Conv2d(256, POINTS + 1, 1)
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, S, S] in [-1, 1] -> heat maps [B, 98, 64, 64]; the last one, of the face's outline, is left out."""
        x = F.interpolate(x, size=SIZE, mode="bilinear") / 2 + 0.5
        x = F.avg_pool2d(self.conv2(F.relu(self.bn1(self.conv1(x)))), 2)
        x = self.top_m_0(self.m0(self.conv4(self.conv3(x))))
        found: Tensor = self.l0(F.relu(self.bn_end0(self.conv_last0(x))))[:, :-1]
        return found

    @torch.no_grad()
    def masks(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 3, S, S] in [-1, 1] -> two masks [B, 1, 256, 256] in [0, 1]: all features, and eyes and nose alone."""
        heat = F.interpolate(self(x), scale_factor=SIZE // ROWS, mode="bilinear", align_corners=True)
        return masks_of(heat)


def masks_of(heat: Tensor) -> tuple[Tensor, Tensor]:
    """Heat maps [B, 98, 256, 256] -> two masks [B, 1, 256, 256], as the public code makes them."""
    heat = torch.where(heat < 0.1, 0.0, heat)
    least, most = heat.amin((2, 3), keepdim=True), heat.amax((2, 3), keepdim=True)
    heat = (heat - least) / (most - least + 1e-6)
    for points, rows, power in MOVED:
        heat[:, points] = heat[:, points].roll(rows, 2) ** power
    heat[:, list(UNUSED)] = 0
    heat[:, UNDER_NOSE] = heat[:, UNDER_NOSE].roll(-4, 2)
    heat[:, EYES] = heat[:, EYES].roll(8, 2) ** 3 + heat[:, EYES].roll(24, 2)
    inner = heat.clone()
    for points in (CHIN, MOUTH, BROWS):
        inner[:, points] = 0
    return heat.sum(1, keepdim=True).clamp(0, 1), inner.sum(1, keepdim=True).clamp(0, 1)


def read_landmarks(file: str) -> dict[str, Tensor]:
    """Weights of the network from `wing.ckpt`, which holds more.

    Raises:
        ConfigError: no file is named, it is not there, or it holds another network.
    """
    path, own = Path(file).expanduser(), FaceAlignment().state_dict()
    if not file or not path.is_file():
        found = f"found no file {file}" if file else "found none"
        raise ConfigError(f"landmarks: expected the public code's wing.ckpt, which w_hpf above 0 needs, {found}")
    try:
        content = read_content(path)
        tensors = plain_tensors(dict(content.get("state_dict", content)), path)
    except (GeneratorError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"landmarks: expected the public code's wing.ckpt, found {path} ({error})") from None
    for key, tensor in own.items():
        if key not in tensors or tensors[key].shape != tensor.shape:
            found = f"found {list(tensors[key].shape)}" if key in tensors else "found none"
            raise ConfigError(f"landmarks: {path}: {label(key)}: expected {list(tensor.shape)}, {found}")
    return {key: tensors[key].to(tensor.dtype) for key, tensor in own.items()}
