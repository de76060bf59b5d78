"""How strongly to regularise a boundary, and how many labels it needs: `python -m benchmarks.directions`.

Samples of a generator are labelled by measurement (brighter than the median; a bright middle; a bright left side; warm
colours), boundaries are fitted to the first of them and judged on samples that no fit has seen. Each column is a value
of C (`mgi.directions.boundary.PENALTY`); each number is the mean of the four accuracies. Two minutes with `kaokore`.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch import Tensor

from mgi.directions.boundary import svm
from mgi.weights import load_generator

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
LABELS = (40, 100, 200, 500)
HELD_OUT = 700


def measures(images: Tensor) -> Tensor:
    """Images [B, 3, S, S] -> [B, 4] that labels are derived from."""
    quarter, half = images.shape[-1] // 4, images.shape[-1] // 2
    mean = images.mean((1, 2, 3))
    middle = images[:, :, quarter:-quarter, quarter:-quarter].mean((1, 2, 3))
    left = images[..., :half].mean((1, 2, 3)) - images[..., half:].mean((1, 2, 3))
    warm = (images[:, 0] - images[:, 2]).mean((1, 2))
    return torch.stack([mean, middle - mean, left, warm], 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generator", default="kaokore", help="one without styles: labels are learnt in z")
    arguments = parser.parse_args()
    generator = load_generator(arguments.generator)
    count = max(LABELS) + HELD_OUT
    z = torch.randn(count, generator.z_dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = torch.cat([measures(generator(part).clamp(-1, 1)) for part in z.split(50)])
    sides = torch.where(found > found.median(0).values, 1.0, -1.0).double()
    x = z.double()
    print("labels  " + "  ".join(f"C={penalty:<6g}" for penalty in PENALTIES))
    for labels in LABELS:
        row = []
        for penalty in PENALTIES:
            right = []
            for y in sides.t():
                weight, offset = svm(x[:labels], y[:labels], penalty)
                right.append(float(((x[-HELD_OUT:] @ weight + offset) * y[-HELD_OUT:] > 0).double().mean()))
            row.append(np.mean(right))
        print(f"{labels:6d}  " + "  ".join(f"{accuracy:<8.3f}" for accuracy in row), flush=True)


if __name__ == "__main__":
    main()
