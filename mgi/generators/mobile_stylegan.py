"""MobileStyleGAN (Belousov, arXiv 2104.04767) as ordinary PyTorch modules with frozen weights.

The network: a mapping from z to w, a constant 4x4 input, one dense modulated convolution, then blocks that each double
the resolution with an inverse Haar transform and apply two modulated depthwise-separable convolutions; the last
features become twelve wavelet coefficients and one more inverse Haar transform makes the RGB image. Demodulation is
baked into the exported weights. Everything is read from the tensors: number of blocks, widths, latent size.

Counting composing layers: layer 1 is the convolution at 4x4, layers 2b and 2b+1 are the two of block b, so the FFHQ
model has 15 layers and 4-5 are at 16x16, 6-7 at 32x32. A tail after layer L takes one w, or one w per remaining affine.

Two ways through the same weights, held equal by a test: `fast=False` is the plain formulation below; `fast=True` (the
default) uses `fused.py`, in which styles ride on the 1x1 weights and every epilogue is written in place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor, nn

from mgi.generators import fused
from mgi.generators.base import GeneratorError, fuse

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
        return F.linear(w, self.weight, self.bias)


class SeparableConv(nn.Module):
    """Modulate, 3x3 depthwise, 1x1 pointwise, noise, bias, leaky ReLU: [B,C,H,W] x [B,D] -> [B,O,H,W]."""

    depthwise: Tensor
    pointwise: Tensor
    bias: Tensor
    noise: Tensor

    def __init__(self, tensors: dict[str, Tensor], haar_ordered: bool) -> None:
        super().__init__()
        self.affine = Affine(_under(tensors, "affine"))
        out_channels = tensors["bias"].numel()
        # The second convolution of a block feeds a wavelet transform only: its channels are stored in the order that
        # the transform reads fastest. `MobileStyleGAN` restores the public order wherever features are handed out.
        order = fused.haar_order(out_channels) if haar_ordered else torch.arange(out_channels)
        self.register_buffer("depthwise", tensors["depthwise"])
        self.register_buffer("pointwise", tensors["pointwise"][order, :, 0, 0].contiguous())
        self.register_buffer("bias", tensors["bias"][order].contiguous())
        self.register_buffer("noise", tensors["noise"])

    def forward(self, x: Tensor, w: Tensor, fast: bool) -> Tensor:
        style = self.affine(w).to(x.dtype)
        if fast:
            return self._fast(x, style)
        x = F.conv2d(x * style[:, :, None, None], self.depthwise, padding=1, groups=x.shape[1])
        x = F.conv2d(x, self.pointwise[:, :, None, None])
        return F.leaky_relu(x + self.noise + self.bias.view(1, -1, 1, 1), SLOPE)

    def _fast(self, x: Tensor, style: Tensor) -> Tensor:
        b, c, h, wd = x.shape
        x = fused.DepthwiseConv.apply(x, self.depthwise)
        weight = self.pointwise * style[:, None, :]  # the style of a channel commutes with its depthwise filter
        x = x.permute(0, 2, 3, 1).reshape(b, h * wd, c)
        x = fused.PointwiseActivation.apply(x, weight, self.bias, self.noise.view(-1, 1))
        return x.view(b, h, wd, -1).permute(0, 3, 1, 2)


class Block(nn.Module):
    """Inverse Haar (doubles H and W, divides C by four), then two separable convolutions."""

    order: Tensor

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self.up = Affine(_under(tensors, "up.affine"))
        self.conv1 = SeparableConv(_under(tensors, "conv1"), haar_ordered=False)
        self.conv2 = SeparableConv(_under(tensors, "conv2"), haar_ordered=True)
        self.register_buffer("order", fused.haar_order(self.up.bias.numel()), persistent=False)

    def upsample(self, x: Tensor, w: Tensor, fast: bool) -> Tensor:
        style = self.up(w)[:, self.order].to(x.dtype)
        if fast:
            return fused.StyledInverseHaar.apply(x, style)
        return inverse_haar(x * style[:, :, None, None])


class MobileStyleGAN(nn.Module):
    """The generator behind the zoo name `mobile-stylegan-ffhq`.

    Args:
        state: tensors named as `mgi weights fetch` writes them (docs/weights.md).
        fast: take the fused path; the plain one computes the same numbers, slower.
    """

    input: Tensor
    stem_weight: Tensor
    stem_bias: Tensor
    stem_noise: Tensor
    image_order: Tensor
    image_weight: Tensor
    image_bias: Tensor

    def __init__(self, state: dict[str, Tensor], fast: bool = True) -> None:
        super().__init__()
        self.fast = fast
        try:
            depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("mapping."))
            self._mapping = [Affine(_under(state, f"mapping.{i}")) for i in range(depth)]
            self.mapping = nn.ModuleList(self._mapping)
            blocks = 1 + max(int(name.split(".")[2]) for name in state if name.startswith("synthesis.blocks."))
            self.register_buffer("input", state["synthesis.input"])
            stem = _under(state, "synthesis.conv0")
            self.stem_affine = Affine(_under(stem, "affine"))
            order = fused.haar_order(stem["bias"].numel())
            self.register_buffer("stem_weight", stem["weight"][order].contiguous())
            self.register_buffer("stem_bias", stem["bias"][order].contiguous())
            self.register_buffer("stem_noise", stem["noise"])
            self._blocks = [Block(_under(state, f"synthesis.blocks.{i}")) for i in range(blocks)]
            self.blocks = nn.ModuleList(self._blocks)
            image = _under(state, "synthesis.to_image")
            self.image_affine = Affine(_under(image, "affine"))
            coefficients = fused.haar_order(image["bias"].numel())
            # the last features stay in Haar order; the 1x1 weights and styles that read them follow it
            last = fused.haar_order(image["weight"].shape[1])
            self.register_buffer("image_order", last, persistent=False)
            self.register_buffer("image_weight", image["weight"][coefficients][:, last, 0, 0].contiguous())
            self.register_buffer("image_bias", image["bias"][coefficients].contiguous())
        except (KeyError, ValueError) as error:
            raise GeneratorError(
                f"expected MobileStyleGAN tensors, found a file without {error}; "
                "fetch it again with `mgi weights fetch`"
            ) from None
        self.z_dim: int = self._mapping[0].weight.shape[1]
        self.layers: int = 1 + 2 * blocks
        self.resolution: int = self.input.shape[-1] * 2 ** (blocks + 1)
        self.requires_grad_(False)

    # ------------------------------------------------------------------ latent spaces

    def to_w(self, z: Tensor) -> Tensor:
        """Mapping network: z [..., D] ~ N(0, 1) -> w [..., D]. z is normalised to length sqrt(D) first."""
        w = z * torch.rsqrt(z.square().mean(-1, keepdim=True) + 1e-8)
        for layer in self._mapping:
            w = F.leaky_relu(layer(w), SLOPE)
        return w

    def layer_channels(self, layer: int) -> int:
        """C of the features after `layer` convolutions."""
        return int(self.stem_bias.numel() if layer == 1 else self._conv(layer).bias.numel())

    def layer_size(self, layer: int) -> int:
        """H = W of the features after `layer` convolutions."""
        return int(self.input.shape[-1] * 2 ** (layer // 2))

    def tail_styles(self, layer: int) -> int:
        """How many affines read a w after `layer` convolutions (the last of them belongs to the image)."""
        remaining_blocks = len(self._blocks) - layer // 2
        return 3 * remaining_blocks + (1 if layer % 2 == 0 and layer > 1 else 0) + 1

    # ------------------------------------------------------------------ the way through

    def forward(self, z: Tensor) -> Tensor:
        """z [B,D] -> images [B,3,R,R] in about [-1, 1]; no truncation, stored noise."""
        return self.synthesize(self.to_w(z))

    def synthesize(self, w: Tensor) -> Tensor:
        """w [B,D] -> images [B,3,R,R]."""
        return self.render(self.head(w, 1), 1, w)

    def head(self, w: Tensor, layer: int) -> Tensor:
        """Features [B,C,H,W] after `layer` convolutions, all styles from one w [B,D]."""
        self._check_layer(layer)
        x = self.input.expand(w.shape[0], -1, -1, -1).to(self.stem_weight.dtype)
        x = x.contiguous(memory_format=torch.channels_last) * self.stem_affine(w).to(x.dtype)[:, :, None, None]
        x = F.conv2d(x, self.stem_weight, padding=1) + self.stem_noise + self.stem_bias.view(1, -1, 1, 1)
        x = F.leaky_relu(x, SLOPE)
        styles = iter(w.expand(self.tail_styles(1), *w.shape))
        x = self._run(x, 1, layer, styles)
        return self._public_order(x, layer)

    def compose(self, codes: Tensor, alpha: Tensor, layer: int, mask: Tensor | None = None, space: str = "z") -> Tensor:
        """Fuse N codes: codes [B,N,D], alpha [B,N,C] -> (sum_n alpha_n F_n) / N of shape [B,C,H,W].

        mask [B,N] marks real codes where lanes of unequal N share a batch; N counts real codes only.
        """
        b, n, d = codes.shape
        w = self.to_w(codes) if space == "z" else codes
        features = self.head(w.reshape(b * n, d), layer)
        return fuse(features.view(b, n, *features.shape[1:]), alpha.to(features.dtype), mask)

    def render(self, features: Tensor, layer: int, w: Tensor | None = None, down: int = 1) -> Tensor:
        """Features after `layer` convolutions -> images [B,3,R/down,R/down].

        Args:
            features: [B,C,H,W] in the public channel order.
            w: styles of the tail, [B,D] or one per affine [B,tail_styles(layer),D].
            down: area-downsampling of the result. An even factor skips the last wavelet step: the mean of each 2x2
                block of an orthonormal Haar reconstruction is half its LL coefficient, exactly.
        """
        if w is None:
            raise ValueError("expected styles for the tail: one w [B,D] or one per affine; this generator needs them")
        x, styles = self._tail_input(features, layer, w)
        x = self._run(x, layer, self.layers, styles)
        return self._to_image(x, next(styles), down)

    def tail_features(self, features: Tensor, layer: int, w: Tensor, until: int) -> Tensor:
        """Features after `until` convolutions, in Haar order, starting from public features after `layer`."""
        x, styles = self._tail_input(features, layer, w)
        return self._run(x, layer, until, styles)

    def render_tapped(self, features: Tensor, layer: int, w: Tensor, tap: int, down: int) -> tuple[Tensor, Tensor]:
        """`render` and, from the same pass, `tail_features` after `tap` convolutions."""
        x, styles = self._tail_input(features, layer, w)
        middle = self._run(x, layer, tap, styles)
        return self._to_image(self._run(middle, tap, self.layers, styles), next(styles), down), middle

    def _tail_input(self, features: Tensor, layer: int, w: Tensor) -> tuple[Tensor, Iterator[Tensor]]:
        self._check_layer(layer)
        count = self.tail_styles(layer)
        if w.ndim == 2:
            w = w[:, None].expand(-1, count, -1)
        elif w.shape[1] != count:
            raise ValueError(f"expected one w or {count} tail styles after layer {layer}, found {w.shape[1]}")
        x = features.to(self.stem_weight.dtype)
        if self._is_haar_ordered(layer):
            x = x[:, fused.haar_order(x.shape[1]).to(x.device)]
        return x.contiguous(memory_format=torch.channels_last), iter(w.unbind(1))

    def _run(self, x: Tensor, start: int, stop: int, styles: Iterator[Tensor]) -> Tensor:
        """Convolutions start+1 .. stop on features in the internal order."""
        for layer in range(start + 1, stop + 1):
            block = self._blocks[layer // 2 - 1]
            if layer % 2 == 0:
                x = block.upsample(x, next(styles), self.fast)
                x = block.conv1(x, next(styles), self.fast)
            else:
                x = block.conv2(x, next(styles), self.fast)
        return x

    def _to_image(self, x: Tensor, w: Tensor, down: int) -> Tensor:
        style = self.image_affine(w)[:, self.image_order].to(x.dtype)
        weight = self.image_weight * style[:, None, :]
        bias = self.image_bias
        if down % 2 == 0:
            weight, bias = weight[:, : len(bias) // 4], bias[: len(bias) // 4]
        b, c, h, wd = x.shape
        out = torch.baddbmm(bias.expand(b, 1, -1), x.permute(0, 2, 3, 1).reshape(b, h * wd, c), weight.transpose(1, 2))
        out = out.view(b, h, wd, -1).permute(0, 3, 1, 2).float()
        if down % 2 == 0:
            out = out * 0.5
            return F.avg_pool2d(out, down // 2) if down > 2 else out
        out = inverse_haar(out)
        return F.avg_pool2d(out, down) if down > 1 else out

    # ------------------------------------------------------------------ bookkeeping

    def set_precision(self, precision: str) -> MobileStyleGAN:
        """`fp32` or `bf16` features; latents, styles and images stay float32."""
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
        for module in self.modules():
            if isinstance(module, Affine):
                continue
            for name, buffer in module.named_buffers(recurse=False):
                if buffer.is_floating_point():
                    setattr(module, name, buffer.to(dtype))
        return self

    def _conv(self, layer: int) -> SeparableConv:
        block = self._blocks[layer // 2 - 1]
        return block.conv1 if layer % 2 == 0 else block.conv2

    def _is_haar_ordered(self, layer: int) -> bool:
        return layer % 2 == 1

    def _public_order(self, x: Tensor, layer: int) -> Tensor:
        if not self._is_haar_ordered(layer):
            return x
        return x[:, torch.argsort(fused.haar_order(x.shape[1])).to(x.device)]

    def _check_layer(self, layer: int) -> None:
        if not 1 <= layer <= self.layers:
            raise ValueError(f"expected a composing layer from 1 to {self.layers}, found {layer}")


def inverse_haar(x_bchw: Tensor) -> Tensor:
    """One orthonormal inverse Haar step, plainly: [B, 4C, H, W] as [LL | LH | HL | HH] -> [B, C, 2H, 2W].

    LH changes sign along rows, HL along columns, HH along both.
    """
    ll, lh, hl, hh = x_bchw.chunk(4, dim=1)
    top = torch.stack([ll + lh + hl + hh, ll + lh - hl - hh], dim=-1)
    bottom = torch.stack([ll - lh + hl - hh, ll - lh - hl + hh], dim=-1)
    b, c, h, w = ll.shape
    return torch.stack([top, bottom], dim=3).reshape(b, c, 2 * h, 2 * w) * 0.5


def load(path: Path | str, device: str = "cpu", fast: bool = True) -> MobileStyleGAN:
    """Read the safetensors file that `mgi weights fetch mobile-stylegan-ffhq` wrote."""
    with safe_open(str(path), framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    return MobileStyleGAN(state, fast=fast).to(device).eval()


def is_mobile_stylegan(state: Mapping[str, object]) -> bool:
    """Whether a state dict is a MobileStyleGAN as `mgi weights` writes it."""
    return "synthesis.conv0.affine.weight" in state and "synthesis.to_image.weight" in state


def read_mobile_stylegan(state: Mapping[str, Tensor], name: str) -> MobileStyleGAN:
    """From the tensors that `mgi weights fetch` and `mgi weights convert` write."""
    return MobileStyleGAN(dict(state)).eval()


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    found = {name[len(prefix) + 1 :]: t for name, t in tensors.items() if name.startswith(prefix + ".")}
    if not found:
        raise KeyError(prefix)
    return found
