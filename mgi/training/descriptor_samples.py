"""What a descriptor is learnt from: samples of a generator, with the generator's features under each picture.

What a match must not depend on is varied between the two: in most samples the styles of the finer layers are another
face's (same structure, other colours), and colours, grey, and the geometry change at random.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.correspondence.augment import affine_matrices, moved, photometric
from mgi.features import Backbone
from mgi.features.descriptor import GRID, PICTURE, seen, unit_pyramid
from mgi.generators import Generator, StyledGenerator, is_styled
from mgi.images import down, resize
from mgi.training.errors import TrainingError

ROWS = (16, 32, 64)
"""The generator's features are taken at these rows, after the last layer that has them."""
READ_LAYERS = ("relu2_2", "relu3_3", "relu4_3", "relu5_3")
"""Layers of the backbone."""


@dataclass(frozen=True)
class Variation:
    """How large a share of the samples is changed, each in [0, 1]: styles `mixed`, `colours`, `grey`, `geometry`."""

    mixed: float = 0.6
    colours: float = 0.5
    grey: float = 0.15
    geometry: float = 0.35


PLAIN = Variation(0.0, 0.0, 0.0, 0.0)


class Samples:
    """Pictures of a generator with its features.

    Args:
        generator: any; one without styles has no style mixing.
        backbone: reads the pictures.
        variation: how many are changed.
    """

    def __init__(self, generator: Generator, backbone: Backbone, variation: Variation = PLAIN) -> None:
        self.generator, self.backbone, self._variation = generator, backbone, variation
        self.layers = feature_layers(generator)
        self._device = next(iter(generator.state_dict().values())).device
        self._factor = max(1, generator.resolution // PICTURE)

    def __call__(self, seed: int) -> tuple[Tensor, Tensor]:
        """One sample: (backbone's unit features [1, C, 64, 64], the generator's [1, D, 64, 64])."""
        random = torch.Generator().manual_seed(seed)
        picture, target = self.picture(random)
        picture, target = self._changed(picture, target, random)
        return self.read(picture), target

    def picture(self, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Picture [1, 3, 256, 256] in [-1, 1] and features, from `random` alone."""
        g = self.generator
        z, truncation, choice = self.drawn(random)
        if not is_styled(g):
            target = unit_layers([g.head(z[:1], layer) for layer in self.layers])
            return seen(down(g(z[:1]), self._factor)).clamp(-1, 1), target
        w = g.truncate(g.to_w(z), truncation)
        target = unit_layers([g.head(w[:1], layer) for layer in self.layers])
        mixed = self._variation.mixed
        return self.rendered(g, self.mixed(g, w, choice / mixed) if choice < mixed else w[:1]), target

    def drawn(self, random: torch.Generator) -> tuple[Tensor, float, float]:
        """Two codes [2, D], a truncation in [0.5, 1] and a number in [0, 1)."""
        z = torch.randn(2, self.generator.z_dim, generator=random).to(self._device)
        truncation, choice = (float(x) for x in torch.rand(2, generator=random))
        return z, 0.5 + 0.5 * truncation, choice

    def mixed(self, generator: StyledGenerator, w: Tensor, choice: float) -> Tensor:
        """Styles [1, styles, D] of the first of w [2, styles, D], from one of the layers on the second's.

        Args:
            choice: in [0, 1), of the layer.
        """
        cut = generator.styles - generator.tail_styles(self.layers[int(choice * len(self.layers))])
        return torch.cat([w[:1, :cut], w[1:, cut:]], 1)

    def rendered(self, generator: StyledGenerator, styles: Tensor) -> Tensor:
        """The picture [1, 3, 256, 256] of styles [1, styles, D]."""
        first = generator.head(styles, 1)
        image = generator.render(first, 1, styles[:, -generator.tail_styles(1) :], down=self._factor)
        return seen(image).clamp(-1, 1)

    def read(self, picture: Tensor) -> Tensor:
        """The backbone's unit features of a picture: [1, C, 64, 64]."""
        return unit_pyramid(list(self.backbone(picture, READ_LAYERS).values()))

    def _changed(self, picture: Tensor, target: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
        colours, geometry = (float(x) for x in torch.rand(2, generator=random))
        draws = 2 * torch.rand(1, 5, generator=random) - 1
        if colours < self._variation.colours:
            picture = photometric(picture, [random])
        if colours < self._variation.grey:
            picture = picture.mean(1, keepdim=True).expand(-1, 3, -1, -1)
        if geometry < self._variation.geometry:
            matrices = affine_matrices(draws).to(picture)
            picture, target = (moved(images, matrices) for images in (picture, target))
        return picture, target


def feature_layers(generator: Generator) -> tuple[int, ...]:
    """The last layers at 16, 32 and 64 rows, as far as the generator has them.

    Raises:
        TrainingError: it has none of them.
    """
    sizes = {generator.layer_size(layer): layer for layer in range(1, generator.layers + 1)}
    found = tuple(sizes[rows] for rows in ROWS if rows in sizes)
    if not found:
        have = ", ".join(map(str, sorted(sizes)))
        raise TrainingError(f"a descriptor needs features of 16, 32 or 64 rows, found {have}; use a larger generator")
    return found


def unit_layers(features: list[Tensor]) -> Tensor:
    """Each channel standardised over positions, so that styles leave little trace; layers of unit length, side by side.

    Products of two such features are means of the layers' correlations. [1, C_i, h_i, w_i] each -> [1, D, 64, 64].
    """
    parts = []
    for layer in features:
        deviation, mean = torch.std_mean(layer.float(), dim=(2, 3), keepdim=True)
        parts.append(resize(F.normalize((layer.float() - mean) / (deviation + 1e-6), dim=1), GRID))
    return torch.cat(parts, dim=1) / len(parts) ** 0.5


@torch.no_grad()
def oracle(generator: Generator, w: Tensor, basis: Tensor | None = None) -> Tensor:
    """The features of known latents [1, styles, D] (or z [1, D]): what a perfect descriptor would say."""
    found = unit_layers([generator.head(w, layer) for layer in feature_layers(generator)])
    return found if basis is None else torch.einsum("bchw,ck->bkhw", found, basis)
