"""What the parts of the inversion translator share: the generator in its latent space, networks, and sizes."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from mgi.config import RunConfig, Warp
from mgi.devices import Precision, working_precision
from mgi.encoders.files import TrainedEncoder
from mgi.features import Backbone, load_backbone
from mgi.features.descriptor import Descriptor
from mgi.generators import Generator, has_bf16
from mgi.images import down as average
from mgi.inversion.latents import Latents
from mgi.inversion.spaces import Space, build_space
from mgi.translators.descriptors import load_descriptor
from mgi.translators.encoders import load_encoder
from mgi.translators.inversion.comparison import Comparison, working_size
from mgi.translators.inversion.generator import latents_of, prepared_generator, searching_generator

CPU_PIXELS = 2**17
"""Image pixels that share a pass on a CPU: one lane from 512 on; larger batches are no faster (docs/inversion.md)."""
GPU_PIXELS = 2**23
"""On a GPU: 8 lanes at 1024, in 6 GiB. Each takes 0.75 of the time that it takes among 4, and 0.4 of that alone."""
_GPU_BYTES_PER_PIXEL = 800
"""In fp32, measured; half as much in bf16."""


class Engine:
    """One configuration's networks, loaded.

    Args:
        config: every setting.
        device: torch device of all networks.

    Raises:
        ConfigError: the generator and the settings cannot work together.
    """

    def __init__(self, config: RunConfig, device: str) -> None:
        self.config, self.device = config, device
        self._backbones: dict[tuple[str, Precision], Backbone] = {}
        self.generator: Generator = prepared_generator(config, device)
        self.size = working_size(config, self.generator.resolution)
        """Rows at which results are compared."""
        self.down = self.generator.resolution // self.size
        self.compare = Comparison.of(config, self.generator.resolution, device)
        self.lanes_at_once = max(1, batch_pixels(device) // self.generator.resolution**2)
        latents = latents_of(self.generator, config, device)
        self.space: Space = build_space(self.generator, config.inversion, *latents)
        self.precision = working_precision(config.inversion.precision, device, has_bf16(self.generator))
        """Of the search; everything else is fp32."""
        quick = searching_generator(self.generator, self.precision)
        self.searching: Space = (
            self.space if quick is self.generator else build_space(quick, config.inversion, *latents)
        )
        """The same space as gradients are taken through it."""
        self._descriptors: dict[Warp, Descriptor | None] = {}
        self._encoder: TrainedEncoder | None = None

    def with_config(self, config: RunConfig) -> Engine:
        """The same networks and sizes with other search settings."""
        other = copy.copy(self)
        other.config = config
        return other

    def descriptor(self) -> Descriptor | None:
        """The descriptor that the warp asks for, loaded once."""
        warp = self.config.warp
        if warp not in self._descriptors:
            self._descriptors[warp] = load_descriptor(self.config, self.metric_network, self.device)
        return self._descriptors[warp]

    def encoder(self) -> TrainedEncoder | None:
        """The encoder that lanes start from, loaded once; None if they start elsewhere."""
        settings = self.config.inversion
        if settings.start != "encoder":
            return None
        if self._encoder is None:
            key = "inversion.encoder_file"
            self._encoder = load_encoder(self.config, "encoder", settings.encoder_file, key, self.device)
        return self._encoder

    def backbone(self, name: str) -> Backbone:
        """A feature network of the loss, in the precision of the search, loaded once."""
        return self._network(name, self.precision)

    def metric_network(self, name: str) -> Backbone:
        """The same in fp32: no setting of a method changes the network that warps for it, scores it and measures it."""
        return self._network(name, "fp32")

    def _network(self, name: str, precision: Precision) -> Backbone:
        if (name, precision) not in self._backbones:
            self._backbones[name, precision] = load_backbone(name, self.device, precision)
        return self._backbones[name, precision]

    @torch.no_grad()
    def image(self, latents: Latents, layer: int) -> Tensor:
        """[1, 3, S, S] at the size of comparison."""
        return self.space.images([latents], layer, self.down)

    def reduced(self, pictures: Tensor) -> Tensor:
        """Pictures as they are kept, [B, 3, S, S], at the size of comparison."""
        return average(pictures, pictures.shape[-1] // self.size)


def batch_pixels(device: str) -> int:
    """How many image pixels share a pass on a device: on a GPU what half of its memory holds, up to `GPU_PIXELS`."""
    if torch.device(device).type != "cuda":
        return CPU_PIXELS
    memory: int = torch.cuda.get_device_properties(device).total_memory
    return min(GPU_PIXELS, memory // 2 // _GPU_BYTES_PER_PIXEL)
