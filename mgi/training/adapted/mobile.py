"""A pretrained generator cut at a smaller size and made trainable: where adapting one to other pictures starts.

The parent is a MobileStyleGAN (`mgi/generators/mobile_stylegan.py`). Its blocks up to the wanted size stay as they are;
the image head behind them is new and fitted by least squares to the parent's own pictures, scaled down. The parameters
keep the names of the parent's layout, so an export is a MobileStyleGAN with fewer blocks, which everything here loads.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.depthwise import depthwise
from mgi.generators.fused import haar_analysis, haar_order
from mgi.generators.mobile_blocks import SLOPE, inverse_haar
from mgi.generators.mobile_stylegan import MobileStyleGAN
from mgi.training.adapted.base import (
    FITTED_ON,
    MEAN_OF,
    Adapted,
    Exported,
    Said,
    State,
    batches_of_codes,
    fitted,
    require_size,
)

POSITIONS = 2
"""Styles go into features of up to so many positions per row of a weight, else into the weight (docs/benchmarks.md)."""
COEFFICIENTS = 12
"""Wavelet coefficients per position of the last features: four per colour."""


class AdaptedMobile(Adapted):
    """A trainable MobileStyleGAN.

    Args:
        state: tensors in its layout; how many blocks there are decides the resolution.
    """

    kind = "MobileStyleGAN"

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        depth = _count(state, "mapping.", 1)
        layers = [_Linear(state, f"mapping.{index}") for index in range(depth)]
        self.mapping = nn.ModuleList(layers)
        self.synthesis = _Synthesis(state)
        self.z_dim: int = layers[0].weight.shape[1]
        self.resolution: int = self.synthesis.input.shape[-1] * 2 ** (len(self.synthesis.blocks) + 1)

    def forward(self, z: Tensor, truncation: float = 1.0) -> Tensor:
        """z [B, D] ~ N(0, 1) -> images [B, 3, R, R], aimed at [-1, 1].

        Args:
            truncation: share of a code's distance from the mean one that is kept; less is less varied and cleaner.
        """
        w = self.to_w(z)
        if truncation != 1:
            codes = torch.randn(MEAN_OF, self.z_dim, generator=torch.Generator().manual_seed(0))
            w = torch.lerp(self.to_w(codes.to(z)).mean(0), w, truncation)
        images: Tensor = self.synthesis(w)
        return images

    def features(self, z: Tensor) -> list[Tensor]:
        """z [B, D] -> what the second convolution of every block makes, [B, C, h, w] each."""
        kept: list[Tensor] = []
        self.synthesis(self.to_w(z), kept)
        return kept

    def to_w(self, z: Tensor) -> Tensor:
        """z [B, D] -> w [B, D]."""
        with torch.autocast(z.device.type, enabled=False):  # w in 8 bits of mantissa is another w
            w = z * torch.rsqrt(z.square().mean(-1, keepdim=True) + 1e-8)
            for layer in self.mapping:
                w = F.leaky_relu(layer(w), SLOPE)
        return w

    def exported(self) -> Exported:
        """A MobileStyleGAN with fewer blocks; two thirds of its numbers in 8 bits."""
        tensors = self.state_dict()
        card = {"architecture": "mobile-stylegan", "gains": "folded"}
        return Exported(tensors, card, [name for name in tensors if may_be_coarse(name)])

    def part(self, name: str) -> str:
        """Which of `FROZEN` a parameter belongs to, or `image` or `bias`."""
        if name.startswith("mapping"):
            return "mapping"
        if name.startswith("synthesis.to_image"):
            return "image"
        for part, mark in (("styles", ".affine."), ("input", "synthesis.input"), ("stem", "conv0."), ("bias", ".bias")):
            if mark in name:
                return part
        return name.rsplit(".", 1)[-1]

    def rows(self, name: str) -> float:
        """Rows of the features that a parameter makes; infinite for the image head and the mapping."""
        first = self.synthesis.input.shape[-1]
        if name.startswith("synthesis.blocks."):
            return float(first << (int(name.split(".")[2]) + 1))
        return float(first) if "conv0" in name or name == "synthesis.input" else float("inf")


def sizes_of_mobile(parent: MobileStyleGAN) -> list[int]:
    """Rows of pictures that can be cut out of a parent."""
    return [2 * parent.layer_size(layer) for layer in range(3, parent.layers + 1, 2)]


def cut(state: Mapping[str, Tensor], resolution: int) -> State:
    """The tensors of a MobileStyleGAN up to a resolution, without an image head unless it is the parent's own size.

    Raises:
        ValueError: the parent has no such size.
    """
    blocks, first = _count(state, "synthesis.blocks.", 2), state["synthesis.input"].shape[-1]
    sizes = [first << (count + 1) for count in range(1, blocks + 1)]
    require_size(resolution, sizes)
    keep = sizes.index(resolution) + 1
    kept = {name: tensor for name, tensor in state.items() if not _belongs_to_later(name, keep)}
    if keep < blocks:
        kept = {name: tensor for name, tensor in kept.items() if not name.startswith("synthesis.to_image")}
    return kept


@torch.no_grad()
def with_image_head(
    kept: State, parent: MobileStyleGAN, pictures: int = FITTED_ON, batch: int = 4, said: Said | None = None
) -> State:
    """A cut state with an image head, fitted by least squares to the parent's pictures at the cut's size.

    Args:
        kept: of `cut`; returned as it is if it has a head.
        parent: the whole generator.
        pictures: how many it is fitted to.
        batch: pictures per pass.
        said: gets told how many are done.
    """
    if "synthesis.to_image.weight" in kept:
        return kept
    layer = 1 + 2 * _count(kept, "synthesis.blocks.", 2)
    rows, channels = 2 * parent.layer_size(layer), parent.layer_channels(layer)

    def batch_of(z: Tensor) -> tuple[Tensor, Tensor]:
        w = parent.to_w(z.to(parent.input))
        plus = w[:, None].expand(-1, parent.styles, -1)
        features = parent.head(plus, layer)
        tail = plus[:, parent.styles - parent.tail_styles(layer) :]
        return features, haar_analysis(parent.render(features, layer, tail, down=parent.resolution // rows))

    weight, bias = fitted(batch_of(z) for z in batches_of_codes(parent.z_dim, pictures, batch, said))
    public = haar_order(COEFFICIENTS).argsort()  # blocks of coefficients -> the layout's order
    width = parent.z_dim
    return kept | {
        "synthesis.to_image.weight": weight[public][:, :, None, None].contiguous(),
        "synthesis.to_image.bias": bias[public].contiguous(),
        "synthesis.to_image.affine.weight": torch.zeros(channels, width),
        "synthesis.to_image.affine.bias": torch.ones(channels),
    }


def may_be_coarse(name: str) -> bool:
    """Whether a tensor can be written in 8 bits: what reads w, and the convolution at 4 x 4, two thirds of the numbers.

    The mapping cannot: rounding its eight layers gave every code a slightly different face (docs/training.md).
    """
    return name == "synthesis.conv0.weight" or name.endswith(".affine.weight")


class _Linear(nn.Module):
    def __init__(self, state: Mapping[str, Tensor], prefix: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(state[f"{prefix}.weight"].float().clone())
        self.bias = nn.Parameter(state[f"{prefix}.bias"].float().clone())

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return F.linear(x, self.weight, self.bias)


class _Up(nn.Module):
    def __init__(self, state: Mapping[str, Tensor], prefix: str) -> None:
        super().__init__()
        self.affine = _Linear(state, f"{prefix}.affine")


class _Stem(nn.Module):
    def __init__(self, state: Mapping[str, Tensor], prefix: str) -> None:
        super().__init__()
        self.affine = _Linear(state, f"{prefix}.affine")
        self.weight = nn.Parameter(state[f"{prefix}.weight"].float().clone())
        self.bias = nn.Parameter(state[f"{prefix}.bias"].float().clone())
        self.register_buffer("noise", state[f"{prefix}.noise"].float().clone())


class _Separable(nn.Module):
    """Modulate, 3x3 depthwise, 1x1 pointwise, noise, bias, leaky ReLU; see `mobile_blocks.SeparableConv`."""

    noise: Tensor

    def __init__(self, state: Mapping[str, Tensor], prefix: str) -> None:
        super().__init__()
        self.affine = _Linear(state, f"{prefix}.affine")
        self.depthwise = nn.Parameter(state[f"{prefix}.depthwise"].float().clone())
        self.pointwise = nn.Parameter(state[f"{prefix}.pointwise"].float().clone())
        self.bias = nn.Parameter(state[f"{prefix}.bias"].float().clone())
        self.register_buffer("noise", state[f"{prefix}.noise"].float().clone())

    def forward(self, x: Tensor, w: Tensor, order: Tensor | None) -> Tensor:
        """[B, C, h, w] -> [B, O, h, w], in the order of channels given."""
        pointwise, bias = (self.pointwise, self.bias) if order is None else (self.pointwise[order], self.bias[order])
        b, c, h, wide = x.shape
        x = depthwise(x, self.depthwise, padding=1)
        # The style commutes with a depthwise filter, so it can go into either factor of the product.
        style, weight = self.affine(w), pointwise[:, :, 0, 0]
        if h * wide <= POSITIONS * len(weight):
            x = x * style[:, :, None, None].to(x.dtype)
            y = F.linear(x.permute(0, 2, 3, 1).reshape(b, h * wide, c), weight.to(x.dtype))
        else:
            weight = weight * style[:, None]
            y = x.permute(0, 2, 3, 1).reshape(b, h * wide, c) @ weight.transpose(1, 2).to(x.dtype)
        y = F.leaky_relu(y + (self.noise.view(-1, 1) + bias).to(y.dtype), SLOPE)
        return y.view(b, h, wide, -1).permute(0, 3, 1, 2)


class _Block(nn.Module):
    def __init__(self, state: Mapping[str, Tensor], prefix: str) -> None:
        super().__init__()
        self.up = _Up(state, f"{prefix}.up")
        self.conv1 = _Separable(state, f"{prefix}.conv1")
        self.conv2 = _Separable(state, f"{prefix}.conv2")


class _Image(nn.Module):
    def __init__(self, state: Mapping[str, Tensor], prefix: str) -> None:
        super().__init__()
        self.affine = _Linear(state, f"{prefix}.affine")
        self.weight = nn.Parameter(state[f"{prefix}.weight"].float().clone())
        self.bias = nn.Parameter(state[f"{prefix}.bias"].float().clone())


class _Synthesis(nn.Module):
    """From w to images. Channels that only feed a wavelet step are kept in the order that the step reads."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.input = nn.Parameter(state["synthesis.input"].float().clone())
        self.conv0 = _Stem(state, "synthesis.conv0")
        count = _count(state, "synthesis.blocks.", 2)
        self.blocks = nn.ModuleList(_Block(state, f"synthesis.blocks.{index}") for index in range(count))
        self.to_image = _Image(state, "synthesis.to_image")

    def forward(self, w: Tensor, kept: list[Tensor] | None = None) -> Tensor:
        """w [B, D] -> images; the blocks' features are added to `kept`."""
        stem, noise = self.conv0, self.conv0.get_buffer("noise")
        order = haar_order(len(stem.bias)).to(w.device)
        x = self.input.expand(len(w), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        x = F.conv2d(x * stem.affine(w)[:, :, None, None], stem.weight[order], padding=1)
        x = F.leaky_relu(x + (noise + stem.bias[order].view(1, -1, 1, 1)).to(x.dtype), SLOPE)
        for block in self.blocks:
            assert isinstance(block, _Block)
            x = inverse_haar(x * block.up.affine(w)[:, order, None, None].to(x.dtype))
            x = block.conv1(x.contiguous(memory_format=torch.channels_last), w, None)
            order = haar_order(len(block.conv2.bias)).to(w.device)
            x = block.conv2(x, w, order)
            if kept is not None:
                kept.append(x)
        image, coefficients = self.to_image, haar_order(COEFFICIENTS).to(w.device)
        weight = image.weight[coefficients][:, order, 0, 0] * image.affine(w)[:, None, order]
        b, c, h, wide = x.shape
        y = x.permute(0, 2, 3, 1).reshape(b, h * wide, c) @ weight.transpose(1, 2).to(x.dtype)
        y = y.float() + image.bias[coefficients]
        return inverse_haar(y.view(b, h, wide, -1).permute(0, 3, 1, 2))


def _belongs_to_later(name: str, keep: int) -> bool:
    return name.startswith("synthesis.blocks.") and int(name.split(".")[2]) >= keep


def _count(state: Mapping[str, Tensor], prefix: str, place: int) -> int:
    """How many numbered parts a state has under a prefix; the number is the name's part at `place`."""
    return 1 + max((int(name.split(".")[place]) for name in state if name.startswith(prefix)), default=-1)
