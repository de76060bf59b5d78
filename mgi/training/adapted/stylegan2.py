"""A StyleGAN2 of any public layout, cut at a smaller size and made trainable.

What is computed is `mgi.generators.stylegan2`: its tensors are replaced by parameters for the time of a pass. A cut one
has its own image head, because the image so far of a StyleGAN2 is no picture of that size: it is fitted by least
squares to what the parent's pictures, scaled down, have beyond it. The bound on features that networks trained in half
precision have is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mgi.generators.layouts.rosinality import as_rosinality
from mgi.generators.styled import Linear
from mgi.generators.stylegan2 import Modulated, StyleGAN2
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
from mgi.training.networks import GAIN

_DERIVED = ("_power", "_added")
_KINDS = ("conv", "rgb")


class AdaptedStyleGAN2(Adapted):
    """A trainable StyleGAN2.

    Args:
        state: of `start_of_stylegan2`.
    """

    kind = "StyleGAN2 in rosinality's layout"

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.skeleton = _skeleton(state)
        self.z_dim, self.resolution = self.skeleton.z_dim, self.skeleton.resolution
        for name, buffer in list(self.skeleton.named_buffers()):
            if name.endswith(_DERIVED) or name == "w_mean":
                self.skeleton.register_buffer(name, None)
            elif name != "blur" and not name.endswith("_noise"):
                self.register_parameter(name, nn.Parameter(buffer.clone()))
                self.skeleton.register_buffer(name, None)

    def forward(self, z: Tensor, truncation: float = 1.0) -> Tensor:
        """z [B, D] ~ N(0, 1) -> images [B, 3, R, R], aimed at [-1, 1].

        Args:
            truncation: share of a code's distance from the mean one that is kept; less is less varied and cleaner.
        """
        with self._filled() as generator:
            w = self._to_w(generator, z)
            if truncation != 1:
                w = torch.lerp(self._mean(generator, z), w, truncation)
            return generator.synthesize(w)

    def features(self, z: Tensor) -> list[Tensor]:
        """z [B, D] -> what the last convolution of every resolution from 8 x 8 on makes, with the image so far."""
        with self._filled() as generator:
            w = self._to_w(generator, z)[:, None].expand(-1, generator.styles, -1)
            x, image = generator._start(w, 1, {})
            kept = []
            for layer in range(1, generator.layers, 2):
                x, image = generator._run(x, image, layer, layer + 2, w[:, layer:], {})
                kept.append(torch.cat([x, image], dim=1))
            return kept

    def exported(self) -> Exported:
        """In the layout of rosinality."""
        with torch.no_grad(), self._filled() as generator:
            mean = self._mean(generator, generator.const)
            tensors = as_rosinality(generator) | {"latent_avg": mean}
        return Exported(
            {name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()},
            {"architecture": "stylegan2"},
            [],
        )

    def part(self, name: str) -> str:
        """Which of `FROZEN` a parameter belongs to, or `image`, `bias`, `weight` or `strength`."""
        if name.startswith("mapping"):
            return "mapping"
        if name.startswith("rgb"):
            return "image"
        if name == "const":
            return "input"
        return "styles" if "_style_" in name else "stem" if name.startswith("conv0_") else name.rsplit("_", 1)[-1]

    def rows(self, name: str) -> float:
        """Rows of the features that a parameter makes; infinite for the last image head and the mapping."""
        first, number = self.get_parameter("const").shape[-1], name.split("_")[0].lstrip("convrgb")
        if name.startswith("conv") and number:
            return float(first << (int(number) + 1) // 2)
        if name.startswith("rgb") and int(number) < (self.skeleton.layers - 1) // 2:
            return float(first << int(number))
        return float(first) if name == "const" else float("inf")

    @contextmanager
    def _filled(self) -> Iterator[StyleGAN2]:
        """The skeleton with the parameters in it, and what follows from them."""
        # Views: a convolution with weights that do not learn keeps what it makes of them, by the tensor.
        found: dict[str, Tensor] = {name: p.view_as(p) for name, p in self.named_parameters(recurse=False)}
        for name in [name for name in found if name.startswith("conv") and name.endswith("_strength")]:
            prefix = name.removesuffix("_strength")
            found[f"{prefix}_added"] = self.skeleton.get_buffer(f"{prefix}_noise") * found[name] * GAIN
            found[f"{prefix}_power"] = found[f"{prefix}_weight"].square().sum((2, 3))
        buffers = self.skeleton._buffers
        buffers.update(found)
        try:
            yield self.skeleton
        finally:
            buffers.update(dict.fromkeys(found))

    def _to_w(self, generator: StyleGAN2, z: Tensor) -> Tensor:
        with torch.autocast(z.device.type, enabled=False):  # w in 8 bits of mantissa is another w
            return generator.to_w(z)

    def _mean(self, generator: StyleGAN2, like: Tensor) -> Tensor:
        codes = torch.randn(MEAN_OF, self.z_dim, generator=torch.Generator().manual_seed(0))
        return self._to_w(generator, codes.to(like)).mean(0)


def sizes_of_stylegan2(parent: StyleGAN2) -> list[int]:
    """Rows of pictures that can be cut out of a parent."""
    return [parent.layer_size(layer) for layer in range(3, parent.layers + 1, 2)]


@torch.no_grad()
def start_of_stylegan2(
    parent: StyleGAN2, resolution: int, pictures: int = FITTED_ON, batch: int = 4, said: Said | None = None
) -> State:
    """The tensors of a StyleGAN2 up to a resolution, with an image head for it.

    Args:
        parent: the whole generator.
        resolution: rows of the pictures.
        pictures: how many the head is fitted to.
        batch: pictures per pass.
        said: gets told how many are done.

    Raises:
        ValueError: the parent has no such size.
    """
    sizes = sizes_of_stylegan2(parent)
    require_size(resolution, sizes)
    last = 1 + sizes.index(resolution)
    layers, head = 2 * last + 1, f"rgb{last}"
    state = {
        name: buffer.clone()
        for name, buffer in parent.named_buffers()
        if not name.endswith(_DERIVED) and name not in ("blur", "w_mean") and not _later(name, last)
    }
    if resolution == parent.resolution:
        return state

    def batch_of(z: Tensor) -> tuple[Tensor, Tensor]:
        w = parent.to_w(z.to(parent.const))
        features = parent.head(w, layers)
        picture = parent.render(features, layers, w, down=parent.resolution // resolution)
        return features[:, :-3], picture - features[:, -3:]

    weight, bias = fitted(batch_of(z) for z in batches_of_codes(parent.z_dim, pictures, batch, said))
    style = state[f"{head}_style_weight"]
    return state | {
        f"{head}_weight": weight[:, :, None, None],
        f"{head}_bias": bias,
        f"{head}_style_weight": torch.zeros_like(style),
        f"{head}_style_bias": torch.ones(len(style)),
    }


def _later(name: str, last: int) -> bool:
    """Whether a tensor belongs to a resolution after the last one."""
    prefix = name.split("_")[0]
    if prefix.startswith("conv"):
        return int(prefix.removeprefix("conv")) > 2 * last
    return prefix.startswith("rgb") and int(prefix.removeprefix("rgb")) > last


def _skeleton(state: Mapping[str, Tensor]) -> StyleGAN2:
    def linear(prefix: str) -> Linear:
        return Linear(state[f"{prefix}_weight"], state[f"{prefix}_bias"])

    def modulated(prefix: str) -> Modulated:
        noise, strength = state.get(f"{prefix}_noise"), state.get(f"{prefix}_strength")
        gain = 1.0 if noise is None else GAIN
        weight, bias = state[f"{prefix}_weight"], state[f"{prefix}_bias"] / gain
        return Modulated(weight, linear(f"{prefix}_style"), bias, noise, strength)

    depth = sum(name.startswith("mapping_weight") for name in state)
    mapping = [Linear(state[f"mapping_weight{index}"], state[f"mapping_bias{index}"]) for index in range(depth)]
    counts = {kind: sum(name.startswith(kind) and name.endswith("_style_bias") for name in state) for kind in _KINDS}
    convolutions, to_rgb = ([modulated(f"{kind}{index}") for index in range(counts[kind])] for kind in _KINDS)
    return StyleGAN2("adapted", mapping, state["const"], convolutions, to_rgb, None)
