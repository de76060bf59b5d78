"""Pairs of pictures of which the better one is known, because the worse one was made to be worse.

Kinds:

- `torn`: a sample of the generator, and another sample warped onto it by a classifier's features along rows.
- `oracle`: the same warp by the features that the generator really had, in both directions, and by a classifier's.
- `damaged`: a sample, and a damaged copy of it: blurred, noisy, of coarse pixels, without colour, or distorted.
- `composed`: a sample, and the mean of the features of several others, drawn with its styles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from mgi.config import Warp
from mgi.correspondence.dense import match, shifted_cells
from mgi.correspondence.matching import blend_cells, normalise, plain_units, warp_by
from mgi.features import Backbone
from mgi.generators import Generator, fuse, is_styled
from mgi.images import down, resize
from mgi.training.descriptor_samples import oracle

Kind = Literal["torn", "oracle", "damaged", "composed"]
KINDS: tuple[Kind, ...] = get_args(Kind)
COMPOSED_ROWS = (8, 16, 32)
"""Rows of the features that `composed` takes the mean of."""
TORN = Warp(
    backbone="vgg16-imagenet",
    layers=("relu2_2", "relu3_3", "relu4_3", "relu5_3"),
    feature_size=64,
    patch=3,
    colours="full",
)
"""What tears: VGG-16 along rows, as `embedded` was before descriptors."""
BetterWorse = tuple[Tensor, Tensor]
"""[1, 3, S, S] each, in [-1, 1]."""


class Constructed:
    """Makes pairs of a generator.

    Args:
        generator: any; one without styles composes without them.
        backbone: VGG-16.
        size: rows of the pictures.
    """

    def __init__(self, generator: Generator, backbone: Backbone, size: int) -> None:
        self.generator, self._backbone, self.size = generator, backbone, size
        layers = range(1, generator.layers + 1)
        self._layers = [layer for layer in layers if generator.layer_size(layer) in COMPOSED_ROWS]
        self._torn = TORN.model_copy(update={"image_size": size, "feature_size": min(64, size // 4)})
        self._device = next(iter(generator.state_dict().values())).device

    @torch.no_grad()
    def __call__(self, seed: int) -> dict[Kind, list[BetterWorse]]:
        """Pairs of every kind from one seed: about three seconds of two cores for a generator of 1024 rows."""
        random = torch.Generator().manual_seed(seed)
        latents = [self.latent(random), self.latent(random)]
        source, exemplar = (self.picture(latent) for latent in latents)
        torn = self.torn(source, exemplar)
        mild, strong = self._damage(source, random)
        return {
            "torn": [(source, torn)],
            "oracle": [(self.by_oracle(exemplar, latents), torn)],
            "damaged": [(source, mild), (source, strong), (mild, strong)],
            "composed": [(source, self.composed(latents[0], random))],
        }

    def latent(self, random: torch.Generator) -> Tensor:
        """w [1, styles, D] of one face, truncated by 0.5 to 1; z [1, D] without styles."""
        g = self.generator
        z = torch.randn(1, g.z_dim, generator=random).to(self._device)
        share = 0.5 + 0.5 * float(torch.rand(1, generator=random))
        return g.truncate(g.to_w(z), share) if is_styled(g) else z

    def picture(self, latent: Tensor) -> Tensor:
        """[1, 3, S, S]."""
        return self._drawn(self.generator.head(latent, 1), 1, latent)

    def torn(self, source: Tensor, exemplar: Tensor) -> Tensor:
        """The exemplar on the source by the classifier, along rows."""
        units = [plain_units(images, self._backbone, self._torn) for images in (source, exemplar)]
        return warp_by(units[0], units[1], exemplar, self._torn)

    def by_oracle(self, exemplar: Tensor, latents: list[Tensor]) -> Tensor:
        """The exemplar on the source by the generator's own features, in both directions."""
        rows = self._torn.feature_size
        units = [normalise(resize(oracle(self.generator, latent), rows)) for latent in latents]
        found = match(units[0], units[1], self._torn.temperature, self._torn.patch, dual=True, window=2)
        cells = shifted_cells(exemplar, found.places(units[1].shape[-2:]), rows)
        return blend_cells(cells, self.size)

    def composed(self, latent: Tensor, random: torch.Generator) -> Tensor:
        """The mean of 5 to 20 codes at one of the layers, drawn with the face's own styles."""
        g = self.generator
        layer = self._layers[int(torch.randint(len(self._layers), (1,), generator=random))]
        count = int(torch.randint(5, 21, (1,), generator=random))
        z = torch.randn(count, g.z_dim, generator=random).to(self._device)
        codes = g.to_w(z) if is_styled(g) else z
        features = g.head(codes, layer)[None]
        alpha = torch.ones(features.shape[:3]).to(features)
        return self._drawn(fuse(features, alpha), layer, latent)

    def _drawn(self, features: Tensor, layer: int, latent: Tensor) -> Tensor:
        g = self.generator
        styles = latent[:, -g.tail_styles(layer) :] if is_styled(g) else None
        factor = max(1, g.resolution // self.size)
        image = g.render(features, layer, styles, down=factor)
        return (image if image.shape[-1] == self.size else resize(image, self.size)).clamp(-1, 1)

    def _damage(self, image: Tensor, random: torch.Generator) -> BetterWorse:
        """The same damage, weak and strong."""
        kind = DAMAGES[int(torch.randint(len(DAMAGES), (1,), generator=random))]
        low, high = torch.rand(2, generator=random).tolist()
        seed = int(torch.randint(2**31, (1,), generator=random))
        weak, strong = 0.4 * low, 0.6 + 0.4 * high
        return tuple(kind(image, much, torch.Generator().manual_seed(seed)) for much in (weak, strong))  # type: ignore[return-value]


def blurred(image: Tensor, much: float, random: torch.Generator) -> Tensor:
    """A Gaussian of 0.4 to 2.4 pixels of 256."""
    deviation = (0.4 + 2 * much) * image.shape[-1] / 256
    return gaussian_blur(image, [2 * int(3 * deviation + 1) + 1] * 2, [deviation] * 2)


def noisy(image: Tensor, much: float, random: torch.Generator) -> Tensor:
    """White noise with a deviation of 0.03 to 0.15."""
    return (image + (0.03 + 0.12 * much) * torch.randn(image.shape, generator=random).to(image)).clamp(-1, 1)


def coarse(image: Tensor, much: float, random: torch.Generator) -> Tensor:
    """Pixels of 2, 4 or 8."""
    factor = 2 << min(2, int(3 * much))
    return F.interpolate(down(image, factor), scale_factor=factor)


def greyed(image: Tensor, much: float, random: torch.Generator) -> Tensor:
    """At least 30 % of the colour gone."""
    return torch.lerp(image, image.mean(1, keepdim=True).expand_as(image), 0.3 + 0.7 * much)


def distorted(image: Tensor, much: float, random: torch.Generator) -> Tensor:
    """Smoothly displaced by 2 to 8 % of half a side."""
    shift = torch.randn(len(image), 2, 12, 12, generator=random) * (0.02 + 0.06 * much)
    shift = F.interpolate(shift, size=image.shape[-1], mode="bicubic").permute(0, 2, 3, 1).to(image)
    straight = F.affine_grid(torch.eye(2, 3).expand(len(image), -1, -1), list(image.shape), align_corners=False)
    return F.grid_sample(image, straight.to(image) + shift, padding_mode="reflection", align_corners=False)


DAMAGES: tuple[Callable[[Tensor, float, torch.Generator], Tensor], ...] = (blurred, noisy, coarse, greyed, distorted)
