"""The parts of MobileStyleGAN: styles from w, the modulated separable convolution, a block and the plain Haar step."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.depthwise import FrozenDepthwise
from mgi.generators import fused

SLOPE = fused.SLOPE


class Affine(nn.Module):
    """Style from w: [..., D] -> [..., C]. Always float32, whatever the features are."""

    weight: Tensor
    bias: Tensor

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self.register_buffer("weight", tensors["weight"])
        self.register_buffer("bias", tensors["bias"])

    def forward(self, w: Tensor) -> Tensor:
        """[..., D] -> [..., C]."""
        return F.linear(w, self.weight, self.bias)


class SeparableConv(nn.Module):
    """Modulate, 3x3 depthwise, 1x1 pointwise, noise, bias, leaky ReLU: [B,C,H,W] x [B,D] -> [B,O,H,W]."""

    depthwise: Tensor
    pointwise: Tensor
    bias: Tensor
    noise: Tensor
    strength: Tensor

    def __init__(self, tensors: dict[str, Tensor], haar_ordered: bool) -> None:
        super().__init__()
        self.affine = Affine(under(tensors, "affine"))
        out_channels = tensors["bias"].numel()
        # The second convolution of a block only feeds a wavelet transform: its channels are stored in the order that
        # the transform reads fastest. `MobileStyleGAN` restores the public order wherever features are handed out.
        order = fused.haar_order(out_channels) if haar_ordered else torch.arange(out_channels)
        self.register_buffer("depthwise", tensors["depthwise"])
        self.register_buffer("pointwise", tensors["pointwise"][order, :, 0, 0].contiguous())
        self.register_buffer("bias", tensors["bias"][order].contiguous())
        self.register_buffer("noise", tensors["noise"])
        self.register_buffer("strength", noise_strength(tensors["noise"]), persistent=False)

    def forward(self, x: Tensor, w: Tensor, fast: bool, noise: Tensor | None = None) -> Tensor:
        """`noise` [B or 1, 1, H, W] of unit variance replaces the stored map, on the plain path."""
        style = self.affine(w).to(x.dtype)
        if fast and noise is None:
            return self._fast(x, style)
        added = self.noise if noise is None else noise.to(x.dtype) * self.strength
        x = F.conv2d(x * style[:, :, None, None], self.depthwise, padding=1, groups=x.shape[1])
        x = F.conv2d(x, self.pointwise[:, :, None, None])
        return F.leaky_relu(x + added + self.bias.view(1, -1, 1, 1), SLOPE)

    def _fast(self, x: Tensor, style: Tensor) -> Tensor:
        b, c, h, wd = x.shape
        x = FrozenDepthwise.apply(x, self.depthwise, None, 1, 1)  # on GPUs, too: they were measured with it
        noise = self.noise.view(-1, 1)
        # The style of a channel commutes with its depthwise filter, so it can go into either factor of the product.
        if fused.modulate_features(len(self.pointwise), h * wd, style):
            x = (x * style[:, :, None, None]).permute(0, 2, 3, 1).reshape(1, b * h * wd, c)
            x = fused.PointwiseActivation.apply(x, self.pointwise[None], self.bias, noise.repeat(b, 1))
        else:
            weight = self.pointwise * style[:, None, :]
            x = x.permute(0, 2, 3, 1).reshape(b, h * wd, c)
            x = fused.PointwiseActivation.apply(x, weight, self.bias, noise)
        return x.view(b, h, wd, -1).permute(0, 3, 1, 2)


class Block(nn.Module):
    """Inverse Haar (doubles H and W, divides C by four), then two separable convolutions."""

    order: Tensor

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self.up = Affine(under(tensors, "up.affine"))
        self.conv1 = SeparableConv(under(tensors, "conv1"), haar_ordered=False)
        self.conv2 = SeparableConv(under(tensors, "conv2"), haar_ordered=True)
        self.register_buffer("order", fused.haar_order(self.up.bias.numel()), persistent=False)

    def upsample(self, x: Tensor, w: Tensor, fast: bool) -> Tensor:
        """Styled inverse Haar: [B, 4C, H, W] and w [B, D] -> [B, C, 2H, 2W]; `fast` takes the fused function."""
        style = self.up(w)[:, self.order].to(x.dtype)
        if fast:
            return fused.StyledInverseHaar.apply(x, style)
        return inverse_haar(x * style[:, :, None, None])


def inverse_haar(x_bchw: Tensor) -> Tensor:
    """One orthonormal inverse Haar step, plainly: [B, 4C, H, W] as [LL | LH | HL | HH] -> [B, C, 2H, 2W].

    LH changes sign along rows, HL along columns, HH along both.
    """
    ll, lh, hl, hh = x_bchw.chunk(4, dim=1)
    top = torch.stack([ll + lh + hl + hh, ll + lh - hl - hh], dim=-1)
    bottom = torch.stack([ll - lh + hl - hh, ll - lh - hl + hh], dim=-1)
    b, c, h, w = ll.shape
    return torch.stack([top, bottom], dim=3).reshape(b, c, 2 * h, 2 * w) * 0.5


def noise_strength(noise: Tensor) -> Tensor:
    """What unit noise is multiplied by: the root mean square of the stored map, which has its strength folded in."""
    return noise.square().mean().sqrt()


def under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names start with `prefix.`, without it. Raises KeyError if there is none."""
    found = {name[len(prefix) + 1 :]: t for name, t in tensors.items() if name.startswith(prefix + ".")}
    if not found:
        raise KeyError(prefix)
    return found
