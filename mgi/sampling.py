"""Samples of a generator as one grid: the quickest look at what it can make."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from mgi.generators import Generator, GeneratorError, is_styled
from mgi.images import resize, to_float, to_uint8
from mgi.weights import load_generator

TILE = 256
"""Rows and columns of one sample in the grid, unless the generator makes smaller ones."""
MEAN_SAMPLES = 8192
"""Samples of the mapping network that estimate the mean style."""


def sample_grid(name: str, count: int, seed: int, truncation: float = 1.0, device: str = "cpu") -> np.ndarray:
    """Random samples side by side.

    Each sample depends on the seed and its own position only (`mgi.directions.samples.draw` has the exception), so a
    larger grid begins with the smaller one.

    Args:
        name: a generator of the zoo or a checkpoint file.
        count: how many samples.
        seed: of the latent codes.
        truncation: psi; styles are w_mean + psi (w - w_mean). 1 leaves them; less is closer to the average image.
        device: where to compute.

    Returns:
        uint8 [rows * T, columns * T, 3], nearly square.

    Raises:
        GeneratorError: no such generator, or truncation without styles.
        mgi.weights.WeightsError: weights are missing.
    """
    generator = load_generator(name, device)
    source = torch.Generator().manual_seed(seed)
    codes = torch.randn(count, generator.z_dim, generator=source)
    tile = min(TILE, generator.resolution)
    with torch.inference_mode():
        render = _renderer(generator, name, truncation, device)
        # One at a time: a batch of 1024 x 1024 images would need gigabytes for nothing.
        tiles = [to_uint8(resize(render(code[None].to(device)).float(), tile, "area"))[0] for code in codes]
    return tile_grid(tiles)


def draw_seeds(
    name: str, seeds: Sequence[int], truncation: float = 1.0, device: str = "cpu"
) -> Iterator[tuple[int, np.ndarray]]:
    """One sample per seed at the generator's resolution: (seed, uint8 [R, R, 3]); it depends on its seed alone.

    Arguments and what is raised: as of `sample_grid`.
    """
    generator = load_generator(name, device)
    with torch.inference_mode():
        render = _renderer(generator, name, truncation, device)
    for seed in seeds:
        code = torch.randn(1, generator.z_dim, generator=torch.Generator().manual_seed(seed))
        with torch.inference_mode():
            image = to_uint8(render(code.to(device)).float())[0]
        yield seed, image


def seeds_grid(name: str, seeds: Sequence[int], truncation: float = 1.0, device: str = "cpu") -> np.ndarray:
    """The samples of `draw_seeds` side by side, as `sample_grid` lays them out."""
    drawn = (to_float(image) for _, image in draw_seeds(name, seeds, truncation, device))
    return tile_grid([to_uint8(resize(image, min(TILE, image.shape[-1]), "area"))[0] for image in drawn])


MOST_SEEDS, HIGHEST_SEED = 100_000, 2**63
"""Of one request: more is a mistake, and a list of them would fill the memory; PyTorch takes seeds of 63 bits."""


def seeds_of(text: str) -> list[int]:
    """Numbers and ranges, such as `1,5-9`, in order.

    Example:
        >>> seeds_of("1, 5-7")
        [1, 5, 6, 7]

    Raises:
        ValueError: it is something else; one line.
    """
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdecimal() or not (last or first).isdecimal() or int(last or first) < int(first):
            raise ValueError(f"expected numbers and ranges such as 1,5-9, found {part.strip()!r}")
        one, end = int(first), int(last or first) + 1
        if end > HIGHEST_SEED or len(found) + end - one > MOST_SEEDS:
            raise ValueError(
                f"expected at most {MOST_SEEDS:,} seeds, none above {HIGHEST_SEED - 1:,}, found {part.strip()}"
            )
        found += range(one, end)
    return found


def tile_grid(tiles: list[np.ndarray], columns: int = 0) -> np.ndarray:
    """Square tiles uint8 [T,T,3] in so many columns (0: as many as rows, nearly); missing ones are white."""
    size = tiles[0].shape[0]
    columns = columns or math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    grid = np.full((rows * size, columns * size, 3), 255, np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        grid[row * size : (row + 1) * size, column * size : (column + 1) * size] = tile
    return grid


def _renderer(generator: Generator, name: str, truncation: float, device: str) -> Callable[[Tensor], Tensor]:
    """Codes z [B, D] -> images [B, 3, R, R]."""
    if truncation == 1.0:
        return generator
    if not is_styled(generator):
        raise GeneratorError(f"{name} has no styles to truncate; leave --truncation at 1")
    source = torch.Generator().manual_seed(0)  # the mean must not depend on the samples that are shown
    many = torch.randn(MEAN_SAMPLES, generator.z_dim, generator=source)
    mean = torch.cat([generator.to_w(part.to(device)) for part in many.split(1024)]).mean(0)
    return lambda code: generator.synthesize(mean + truncation * (generator.to_w(code) - mean))
