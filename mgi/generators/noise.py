"""Noise of style-based generators as an argument: stored with the checkpoint, fresh per lane, or optimised.

A noise map belongs to a layer: the L-th convolution adds `strength` times its map to its output. Stored maps are folded
into the weights' other constants and cost nothing. Maps that are passed in replace the stored ones of their layers. A
map that requires gradients is optimised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mgi.generators.base import GeneratorError

Noise = Mapping[int, Tensor]
"""Layer -> map of unit variance [B, 1, h, w], or [1, 1, h, w] for all images. Layers left out keep the stored map."""


class WithNoise:
    """What generators with noise share; every layer has a map of the size of its features."""

    name: str
    layers: int

    def noise_shapes(self, start_layer: int = 0) -> dict[int, tuple[int, int]]:
        """Rows and columns of the map of every layer after `start_layer`: 0 for all, L for the tail after L layers."""
        return {layer: (self.layer_size(layer),) * 2 for layer in range(start_layer + 1, self.layers + 1)}

    def stored_noise(self, start_layer: int = 0) -> dict[int, Tensor]:
        """The checkpoint's maps [1, 1, h, w] of the layers after `start_layer`: where an optimisation can start."""
        return {layer: self._stored_map(layer)[None, None].clone() for layer in self.noise_shapes(start_layer)}

    def fresh_noise(
        self, seeds: Sequence[int], device: str | torch.device = "cpu", start_layer: int = 0
    ) -> dict[int, Tensor]:
        """New maps [B, 1, h, w] for B = len(seeds) lanes.

        A lane's maps depend on its own seed only, not on its batch, the device or `start_layer`.
        """
        sources = [torch.Generator().manual_seed(seed) for seed in seeds]
        maps = {
            layer: torch.stack([torch.randn(1, *shape, generator=source) for source in sources])
            for layer, shape in self.noise_shapes().items()
        }
        return {layer: maps[layer].to(device) for layer in self.noise_shapes(start_layer)}

    def layer_size(self, layer: int) -> int:
        """Rows (and columns) of the features after `layer` layers."""
        raise NotImplementedError

    def _stored_map(self, layer: int) -> Tensor:
        """The checkpoint's map [h, w], of unit variance."""
        raise NotImplementedError

    def _checked(self, noise: Noise | None, batch: int) -> Noise:
        """`noise`, or nothing for None.

        Raises:
            GeneratorError: a layer has no noise, or a map has another shape.
        """
        shapes = self.noise_shapes()
        for layer, given in (noise or {}).items():
            if layer not in shapes:
                raise GeneratorError(f"{self.name} has noise at layers 1 to {self.layers}, found a map for {layer}")
            if given.ndim != 4 or given.shape[0] not in (1, batch) or given.shape[1:] != (1, *shapes[layer]):
                rows, columns = shapes[layer]
                wanted = f"[1 or {batch}, 1, {rows}, {columns}]"
                raise GeneratorError(
                    f"{self.name}: noise of layer {layer} has shape {list(given.shape)}, expected {wanted}"
                )
        return noise or {}


def per_code(noise: Noise | None, codes: int) -> Noise | None:
    """Maps of lanes [B, 1, h, w] for each of their `codes` codes [B codes, 1, h, w]."""
    if noise is None:
        return None
    return {layer: m if m.shape[0] == 1 else m.repeat_interleave(codes, dim=0) for layer, m in noise.items()}


def refuse_noise(name: str, noise: Noise | None) -> None:
    """Raise GeneratorError if noise is given to a generator that has none."""
    if noise is not None:
        raise GeneratorError(f"{name} has no noise; leave the argument `noise` out")
