"""Latents of a generator's samples, as `latents.npz` keeps them, and the picture of each."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mgi.config import ConfigError
from mgi.directions.files import LatentSpace
from mgi.generators import Generator, is_styled
from mgi.images import down, to_uint8

LARGEST = 256
"""Rows of a picture that is shown."""


@torch.inference_mode()
def draw(generator: Generator, count: int, seed: int, device: str = "cpu") -> dict[str, np.ndarray]:
    """Random latents: z [n, D] and, if the generator has styles, w [n, D].

    Each sample depends on the seed and its own number only, except the last one if D is not a multiple of 16: PyTorch
    draws normal numbers in blocks of 16.
    """
    z = torch.randn(count, generator.z_dim, generator=torch.Generator().manual_seed(seed))
    if not is_styled(generator):
        return {"z": z.numpy()}
    w = [generator.to_w(part.to(device)).cpu() for part in z.split(2000)]
    return {"z": z.numpy(), "w": torch.cat(w).numpy()}


@torch.inference_mode()
def picture(generator: Generator, latent: Tensor, space: LatentSpace = "z") -> np.ndarray:
    """The image of one latent [D], at most `LARGEST` rows, uint8."""
    if space == "w":
        assert is_styled(generator)  # only such have latents in w
        image = generator.synthesize(latent[None])
    else:
        image = generator(latent[None])
    return to_uint8(down(image.float(), max(1, image.shape[-1] // LARGEST)))[0]


def read_latents(path: Path) -> dict[str, np.ndarray]:
    """Arrays of `latents.npz`. Raises ConfigError if it is another file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; `mgi directions sample` writes latents.npz") from None
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile):
        raise ConfigError(f"{path} is no latents.npz; `mgi directions sample` writes one") from None
    z = arrays.get("z")
    if z is None or z.ndim != 2 or "generator" not in arrays:
        raise ConfigError(f"{path} holds {', '.join(arrays) or 'nothing'}; expected z [n, D] and generator")
    for name in {"z", "w"} & set(arrays):
        if arrays[name].ndim != 2 or len(arrays[name]) != len(z) or not np.isfinite(arrays[name]).all():
            raise ConfigError(f"{path}: {name} is not a finite [{len(z)}, D]; make it again")
    return arrays
