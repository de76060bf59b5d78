"""MobileStyleGAN (Belousov, arXiv 2104.04767) as ordinary PyTorch modules with frozen weights.

The network: a mapping from z to w, a constant 4x4 input, one dense modulated convolution, then blocks that each double
the resolution with an inverse Haar transform and apply two modulated depthwise-separable convolutions; the last
features become twelve wavelet coefficients and one more inverse Haar transform makes the RGB image. Demodulation is
baked into the exported weights. Everything is read from the tensors: number of blocks, widths, latent size.

Counting composing layers: layer 1 is the convolution at 4x4, layers 2b and 2b+1 are the two of block b, so the FFHQ
model has 15 layers and 4-5 are at 16x16, 6-7 at 32x32. A tail after layer L takes one w, or one w per remaining affine.

The same weights are computed in two ways, and a test checks that they agree: without `fast` by the plain code below;
with it (the default) by `fused.py`, where styles are multiplied into the 1x1 weights and every epilogue is written in
place.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgi.generators import fused
from mgi.generators.base import GeneratorError, fuse
from mgi.generators.mobile_blocks import SLOPE, Affine, Block, SeparableConv, inverse_haar, noise_strength, under
from mgi.generators.noise import Noise, WithNoise, per_code
from mgi.generators.styled import plus, truncated


class MobileStyleGAN(WithNoise, nn.Module):
    """The generator behind the zoo name `mobile-stylegan-ffhq`.

    Args:
        state: tensors named as `mgi weights fetch` writes them (docs/weights.md).
    """

    input: Tensor
    stem_weight: Tensor
    stem_bias: Tensor
    stem_noise: Tensor
    stem_strength: Tensor
    name = "mobile-stylegan"
    image_order: Tensor
    image_weight: Tensor
    image_bias: Tensor
    fast = True
    """Take the fused path; the plain one computes the same numbers more slowly."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        try:
            depth = 1 + max((int(name.split(".")[1]) for name in state if name.startswith("mapping.")), default=0)
            self._mapping = [Affine(under(state, f"mapping.{i}")) for i in range(depth)]
            self.mapping = nn.ModuleList(self._mapping)
            numbers = (int(name.split(".")[2]) for name in state if name.startswith("synthesis.blocks."))
            blocks = 1 + max(numbers, default=0)
            self.register_buffer("input", state["synthesis.input"])
            stem = under(state, "synthesis.conv0")
            self.stem_affine = Affine(under(stem, "affine"))
            order = fused.haar_order(stem["bias"].numel())
            self.register_buffer("stem_weight", stem["weight"][order].contiguous())
            self.register_buffer("stem_bias", stem["bias"][order].contiguous())
            self.register_buffer("stem_noise", stem["noise"])
            self.register_buffer("stem_strength", noise_strength(stem["noise"]), persistent=False)
            self._blocks = [Block(under(state, f"synthesis.blocks.{i}")) for i in range(blocks)]
            self.blocks = nn.ModuleList(self._blocks)
            image = under(state, "synthesis.to_image")
            self.image_affine = Affine(under(image, "affine"))
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
        self.styles: int = 1 + self.tail_styles(1)
        self._w_mean: Tensor | None = None
        self.resolution: int = self.input.shape[-1] * 2 ** (blocks + 1)
        self.requires_grad_(False)

    # ------------------------------------------------------------------ latent spaces

    def to_w(self, z: Tensor) -> Tensor:
        """Mapping network: z [..., D] ~ N(0, 1) -> w [..., D]. z is normalised to length sqrt(D) first."""
        w = z * torch.rsqrt(z.square().mean(-1, keepdim=True) + 1e-8)
        for layer in self._mapping:
            w = F.leaky_relu(layer(w), SLOPE)
        return w

    def truncate(self, w: Tensor, psi: float, layers: int | None = None) -> Tensor:
        """w [B, D] or [B, styles, D] -> W+ [B, styles, D], the first `layers` styles (None: all) pulled to the mean.

        The published network has no mean latent; it is measured at the first call (10,000 samples, seed 0).
        """
        if self._w_mean is None:
            z = torch.randn(10_000, self.z_dim, generator=torch.Generator().manual_seed(0))
            with torch.no_grad():
                self._w_mean = self.to_w(z.to(self.input.device)).mean(0)
        return truncated(self._plus(w), self._w_mean.to(w.device), psi, layers)

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

    # ------------------------------------------------------------------ from latents to images

    def forward(self, z: Tensor) -> Tensor:
        """z [B,D] -> images [B,3,R,R] in about [-1, 1]; no truncation, stored noise."""
        return self.synthesize(self.to_w(z))

    def synthesize(self, w: Tensor, noise: Noise | None = None) -> Tensor:
        """w [B,D] or W+ [B,styles,D] -> images [B,3,R,R]; `noise` replaces stored maps, on the slower plain path."""
        w = self._plus(w)
        return self.render(self.head(w, 1, noise), 1, w[:, 1:], noise=noise)

    def head(self, w: Tensor, layer: int, noise: Noise | None = None) -> Tensor:
        """Features [B,C,H,W] after `layer` convolutions, from w [B,D] or W+ [B,styles,D]."""
        self._check_layer(layer)
        w = self._plus(w)
        noise = self._checked(noise, len(w))
        x = self.input.expand(w.shape[0], -1, -1, -1).to(self.stem_weight.dtype)
        x = x.contiguous(memory_format=torch.channels_last) * self.stem_affine(w[:, 0]).to(x.dtype)[:, :, None, None]
        added = noise[1].to(x.dtype) * self.stem_strength if 1 in noise else self.stem_noise
        x = F.conv2d(x, self.stem_weight, padding=1) + added + self.stem_bias.view(1, -1, 1, 1)
        x = F.leaky_relu(x, SLOPE)
        x = self._run(x, 1, layer, iter(w[:, 1:].unbind(1)), noise)
        return self._public_order(x, layer)

    def compose(
        self,
        codes: Tensor,
        alpha: Tensor,
        layer: int,
        space: str = "z",
        noise: Noise | None = None,
    ) -> Tensor:
        """Fuse N codes: codes [B,N,D], alpha [B,N,C] -> (sum_n alpha_n F_n) / N of shape [B,C,H,W].

        Codes are of space `z`, or `w`, then also W+ [B,N,styles,D]. The codes of a lane share its noise.
        """
        b, n = codes.shape[:2]
        w = self.to_w(codes) if space == "z" else codes
        features = self.head(w.flatten(0, 1), layer, per_code(noise, n))
        return fuse(features.view(b, n, *features.shape[1:]), alpha.to(features.dtype))

    def render(
        self,
        features: Tensor,
        layer: int,
        w: Tensor | None = None,
        down: int = 1,
        noise: Noise | None = None,
    ) -> Tensor:
        """Features after `layer` convolutions -> images [B,3,R/down,R/down].

        Args:
            features: [B,C,H,W] in the public channel order.
            w: styles of the tail, [B,D] or one per affine [B,tail_styles(layer),D].
            down: area-downsampling of the result. An even factor skips the last wavelet step: the mean of each 2x2
                block of an orthonormal Haar reconstruction is half its LL coefficient, exactly.
            noise: maps that replace stored ones; layers that get one take the plain path, which has its gradient.
        """
        if w is None:
            raise ValueError("expected styles for the tail: one w [B,D] or one per affine; this generator needs them")
        x, styles = self._tail_input(features, layer, w)
        x = self._run(x, layer, self.layers, styles, self._checked(noise, len(x)))
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

    def _run(self, x: Tensor, start: int, stop: int, styles: Iterator[Tensor], noise: Noise | None = None) -> Tensor:
        """Convolutions start+1 .. stop on features in the internal order."""
        for layer in range(start + 1, stop + 1):
            block = self._blocks[layer // 2 - 1]
            given = (noise or {}).get(layer)
            if layer % 2 == 0:
                x = block.upsample(x, next(styles), self.fast)
                x = block.conv1(x, next(styles), self.fast, given)
            else:
                x = block.conv2(x, next(styles), self.fast, given)
        return x

    def _to_image(self, x: Tensor, w: Tensor, down: int) -> Tensor:
        style = self.image_affine(w)[:, self.image_order].to(x.dtype)
        weight = self.image_weight * style[:, None, :]
        bias = self.image_bias
        if down % 2 == 0:
            weight, bias = weight[:, : len(bias) // 4], bias[: len(bias) // 4]
        b, c, h, wd = x.shape
        out: Tensor = fused.Pointwise.apply(x.permute(0, 2, 3, 1).reshape(b, h * wd, c), weight, bias)
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

    def _stored_map(self, layer: int) -> Tensor:
        conv = None if layer == 1 else self._conv(layer)
        noise, strength = (self.stem_noise, self.stem_strength) if conv is None else (conv.noise, conv.strength)
        return (noise / strength if strength > 0 else noise).float().reshape(noise.shape[-2:])

    def _plus(self, w: Tensor) -> Tensor:
        return plus(w, self.styles, self.name)

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
