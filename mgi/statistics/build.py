"""Measure a generator from its own samples: `python -m mgi.statistics.build mobile-stylegan-ffhq`.

Writes into this folder (or --out) the domain statistics for selection (`NAME.NETWORK-LAYER-SAMPLES.npz`) and, for a
MobileStyleGAN of 256 rows or more, the latent prior and the coarse head (`NAME.latents.safetensors`), and prints how
well the head reads.
About ten minutes on two cores for 512 samples at 1024 pixels; half a minute at 64.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from mgi.features import load_backbone
from mgi.generators.fused import haar_analysis
from mgi.generators.mobile_stylegan import MobileStyleGAN
from mgi.images import fit_square
from mgi.inversion.coarse import fit_coarse_head
from mgi.inversion.prior import measure_prior
from mgi.memory import keep_freed_memory
from mgi.metrics.bands import SAMPLES, build_detail
from mgi.metrics.domain import COMPONENTS, build_statistics
from mgi.metrics.samples import DOMAIN_SEED, generated_images
from mgi.statistics import SHIPPED_SIZE
from mgi.statistics.latents import write_latents
from mgi.weights import load_generator

HEAD_IMAGES, HEAD_POSITIONS = 400, 600
"""The head is fitted to this many positions of this many images; the last tenth of the images only measures it."""


class Samples:
    """Runs the generator once, and collects the data to fit the head to.

    Args:
        generator: a MobileStyleGAN.
        count: images, from the same latents as `mgi.metrics.samples.generated_images`.
        head_layer: convolutions before the features that the head reads.
    """

    def __init__(self, generator: MobileStyleGAN, count: int, head_layer: int) -> None:
        self._generator, self._count, self._layer = generator, count, head_layer
        self.features: list[Tensor] = []
        self.coefficients: list[Tensor] = []
        self.styles: list[Tensor] = []

    @torch.no_grad()
    def images(self) -> Iterator[Tensor]:
        """[1,3,256,256] each, clipped to [-1, 1]."""
        g, random = self._generator, torch.Generator().manual_seed(DOMAIN_SEED)
        positions = torch.Generator().manual_seed(DOMAIN_SEED + 1)
        for index in range(self._count):
            w = g.to_w(torch.randn(1, g.z_dim, generator=random))
            image, middle = g.render_tapped(g.head(w, 1), 1, w, tap=self._layer, down=g.resolution // 256)
            if index % 64 == 0:
                print(f"sample {index} of {self._count}", flush=True)
            if index < HEAD_IMAGES:
                pick = torch.randint(middle.shape[-1] ** 2, (HEAD_POSITIONS,), generator=positions)
                self.features.append(middle[0].flatten(1)[:, pick].t().half())
                self.coefficients.append(haar_analysis(image)[0].flatten(1)[:, pick].t().clone())
                self.styles.append(w[0])
            yield fit_square(image.clamp(-1, 1), 256)


def main() -> None:
    """Build the files of one generator."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=["mobile-stylegan-ffhq", "kaokore", "kaokore-64", "kaokore-128"])
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--network", default="vgg16-imagenet")
    parser.add_argument("--layer", default="relu4_3")
    parser.add_argument("--detail", action="store_true", help="only how much detail the samples have")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    keep_freed_memory()
    generator = load_generator(arguments.name)
    if arguments.detail:
        plain = generated_images(generator, SAMPLES, generator.resolution, "cpu")
        what = f"{arguments.name}, {SAMPLES} samples, seed {DOMAIN_SEED}"
        build_detail(plain, what).save(arguments.out / "detail" / f"{arguments.name}.json")
        return
    # A small one is measured at first use, in a second.
    styled = generator if isinstance(generator, MobileStyleGAN) and generator.resolution >= SHIPPED_SIZE else None
    samples = Samples(styled, arguments.samples, head_layer=11) if styled else None
    size = min(SHIPPED_SIZE, generator.resolution)
    images = samples.images() if samples else generated_images(generator, arguments.samples, size, "cpu")
    made_from = f"{arguments.name}, {arguments.samples} samples, seed {DOMAIN_SEED}"
    backbone = load_backbone(arguments.network)
    domain = build_statistics(images, backbone, arguments.layer, COMPONENTS, made_from)
    domain.save(arguments.out / f"{arguments.name}.{arguments.network}-{arguments.layer}-{arguments.samples}.npz")
    print(f"domain: {COMPONENTS} components keep {domain.explained:.1%} of the variance of locations", flush=True)
    if styled is None or samples is None:
        return
    prior = measure_prior(styled.to_w, styled.z_dim)
    print(f"prior: standard deviations from {prior.scale.min():.4f} to {prior.scale.max():.3f}", flush=True)
    head, error = fit_coarse_head(
        samples._layer, torch.stack(samples.features), torch.stack(samples.styles), torch.stack(samples.coefficients)
    )
    print(f"coarse head: error {error:.3f} of the coefficients' standard deviation on held-out images", flush=True)
    write_latents(arguments.out / f"{arguments.name}.latents.safetensors", prior, head)


if __name__ == "__main__":
    main()
