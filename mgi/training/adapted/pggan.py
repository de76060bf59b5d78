"""A PGGAN of any public layout, cut at a smaller size and made trainable.

The parameters are those of `mgi.training.networks.PGGANGenerator`, so an export is a PGGAN in mGANprior's layout.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mgi.generators.pggan import PGGAN
from mgi.generators.pixelnorm import plain_pixel_norm
from mgi.training.adapted.base import FITTED_ON, Adapted, Exported, Said, State, batches_of_codes, fitted, require_size
from mgi.training.networks import GAIN, PGGANGenerator

_HEAD = "to_rgb"


class AdaptedPGGAN(Adapted):
    """A trainable PGGAN.

    Args:
        state: of `start_of_pggan`.
    """

    kind = "PGGAN in mGANprior's layout"
    truncates = False

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        count = sum(name.endswith(".weight") for name in state) - 1
        weights = [state[f"layers.{index}.weight"] for index in range(count)]
        self.generator = PGGANGenerator([len(weight) for weight in weights[1::2]], weights[0].shape[1])
        first: nn.Module = self.generator.layers[0]
        first.bias = nn.Parameter(torch.zeros_like(state["layers.0.bias"]))
        self.generator.load_state_dict(state)
        self.z_dim, self.resolution = self.generator.z_dim, self.generator.resolution

    def forward(self, z: Tensor) -> Tensor:
        """z [B, D] ~ N(0, 1) -> images [B, 3, R, R], aimed at [-1, 1]."""
        images: Tensor = self.generator(z)
        return images

    def features(self, z: Tensor) -> list[Tensor]:
        """z [B, D] -> what the second convolution of every resolution from 8 x 8 on makes, [B, C, h, w] each."""
        kept: list[Tensor] = []
        self.generator(z, kept)
        return kept[3::2]

    def exported(self) -> Exported:
        """In the layout of mGANprior."""
        return Exported(self.generator.mganprior_state(), {"architecture": "pggan", "layout": "mganprior"}, [])

    def part(self, name: str) -> str:
        """`stem`, the first convolution, or `image`, or `layers`."""
        return "image" if _HEAD in name else "stem" if "layers.0." in name else "layers"

    def rows(self, name: str) -> float:
        """Rows of the features that a parameter makes; infinite for the image head."""
        return float("inf") if _HEAD in name else float(4 << int(name.split(".")[2]) // 2)


def sizes_of_pggan(parent: PGGAN) -> list[int]:
    """Rows of pictures that can be cut out of a parent."""
    return [parent.layer_size(layer) for layer in range(4, parent.layers + 1, 2)]


@torch.no_grad()
def start_of_pggan(
    parent: PGGAN, resolution: int, pictures: int = FITTED_ON, batch: int = 4, said: Said | None = None
) -> State:
    """The tensors of a PGGAN up to a resolution, with an image head for it, as `PGGANGenerator` names them.

    Args:
        parent: the whole generator.
        resolution: rows of the pictures.
        pictures: how many the head is fitted to.
        batch: pictures per pass.
        said: gets told how many are done.

    Raises:
        ValueError: the parent has no such size, or layers that are not PGGAN's usual ones.
    """
    sizes = sizes_of_pggan(parent)
    require_size(resolution, sizes)
    layers = 2 * (2 + sizes.index(resolution))
    state: State = {}
    for index in range(layers):
        weight = parent.get_buffer(f"weight{index}")
        if weight.shape[-1] != (3 if index else 4):
            raise ValueError(f"its layer {index + 1} has kernels of {weight.shape[-1]} pixels; it cannot be adapted")
        state[f"layers.{index}.weight"] = weight.contiguous() * (math.sqrt(weight[0].numel()) / GAIN)
        state[f"layers.{index}.bias"] = parent.get_buffer(f"bias{index}").clone()
    if resolution == parent.resolution:
        weight, bias = parent.get_buffer(f"weight{layers}")[:, :, 0, 0], parent.get_buffer(f"bias{layers}")
    else:

        def batch_of(z: Tensor) -> tuple[Tensor, Tensor]:
            features = parent.head(z.to(parent.weight0), layers)
            return plain_pixel_norm(features), parent.render(features, layers, down=parent.resolution // resolution)

        weight, bias = fitted(batch_of(z) for z in batches_of_codes(parent.z_dim, pictures, batch, said))
    state[f"{_HEAD}.weight"] = (weight * math.sqrt(weight.shape[1]))[:, :, None, None].contiguous()
    state[f"{_HEAD}.bias"] = bias.clone()
    return state
