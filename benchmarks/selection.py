"""Which layer and how many components tell a good face from a damaged one: `python -m benchmarks.selection`.

Samples of the generator are damaged in the ways that inversions fail: blurred, noisy, pixelated, grey, distorted. The
table shows how often the damaged copy is further from the domain than the clean one it came from, by `spatial-fd` and,
after the slash, by `paper`. About five minutes on two cores.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from mgi.features import load_backbone
from mgi.images import down, fit_square
from mgi.metrics.domain import DomainAccumulator
from mgi.metrics.locations import grid_features, pooled_vector
from mgi.metrics.paper import paper_fd
from mgi.metrics.spatial_fd import spatial_fd
from mgi.weights import load_generator


def damaged(images: Tensor, random: torch.Generator) -> dict[str, Tensor]:
    """Copies of images [B, 3, S, S], by the name of their damage."""
    size = images.shape[-1]
    shift = torch.randn(len(images), 2, 12, 12, generator=random) * 0.05
    shift = F.interpolate(shift, size=size, mode="bicubic").permute(0, 2, 3, 1)
    straight = F.affine_grid(torch.eye(2, 3).expand(len(images), -1, -1), list(images.shape), align_corners=False)
    return {
        "blur 1": gaussian_blur(images, [7, 7], [1.0, 1.0]),
        "blur 2": gaussian_blur(images, [13, 13], [2.0, 2.0]),
        "noise": (images + 0.08 * torch.randn(images.shape, generator=random)).clamp(-1, 1),
        "pixels": F.interpolate(down(images, 4), scale_factor=4),
        "grey": images.mean(1, keepdim=True).expand_as(images),
        "distorted": F.grid_sample(images, straight + shift, padding_mode="reflection", align_corners=False),
    }


@torch.no_grad()
def main() -> None:
    """Print one line per layer and number of components."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=80, help="images of the domain")
    parser.add_argument("--tests", type=int, default=16, help="images that are damaged")
    parser.add_argument("--layers", nargs="+", default=["relu2_2", "relu3_3", "relu4_3", "relu5_3"])
    parser.add_argument("--components", nargs="+", type=int, default=[16, 32, 64, 128])
    arguments = parser.parse_args()
    generator, backbone = load_generator("mobile-stylegan-ffhq"), load_backbone("vgg16-imagenet")
    random = torch.Generator().manual_seed(0)
    codes = torch.randn(arguments.samples + arguments.tests, 1, generator.z_dim, generator=random)
    images = torch.cat([fit_square(generator(z).clamp(-1, 1), 256) for z in codes])
    clean = images[arguments.samples :]
    kinds = {"clean": clean, **damaged(clean, random)}
    for layer in arguments.layers:
        accumulator = DomainAccumulator(backbone.channels(layer))
        for image in images[: arguments.samples].split(1):
            accumulator.update(grid_features(image, backbone, layer))
        grids = {name: torch.cat([grid_features(i, backbone, layer) for i in x.split(1)]) for name, x in kinds.items()}
        for components in arguments.components:
            domain = accumulator.result(backbone.name, layer, components)
            found = {}
            for name, grid in grids.items():
                features = domain.basis.project(grid).half().numpy()
                spatial = np.array([spatial_fd(f, domain.locations) for f in features])
                pooled = np.array([paper_fd(pooled_vector(f), domain.images) for f in features])
                found[name] = np.stack([spatial, pooled])
            shares = {name: (d > found["clean"]).mean(axis=1) for name, d in found.items() if name != "clean"}
            cells = "  ".join(f"{name} {s:.2f}/{p:.2f}" for name, (s, p) in shares.items())
            print(f"{layer} K={components:<4d} keeps {domain.explained:.2f}  {cells}", flush=True)


if __name__ == "__main__":
    main()
