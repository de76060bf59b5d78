"""`mgi sample`: random images from a generator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.common import guarded, out


@guarded
def sample(
    name: Annotated[str, typer.Argument(help="A generator from `mgi weights list`, or a checkpoint file.")],
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=1024, help="How many images.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the latent codes.")] = 0,
    truncation: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Below 1: closer to the average image (style-based generators).")
    ] = 1.0,
    path: Annotated[Path, typer.Option("--out", metavar="GRID.png", help="Where to write the grid.")] = Path(
        "grid.png"
    ),
) -> int:
    """Write a grid of random samples from a generator."""
    from mgi.devices import best_device
    from mgi.profiles import whole_generator
    from mgi.sampling import sample_grid
    from storage.images import write_png

    name = whole_generator(name)
    grid = sample_grid(name, count, seed, truncation, best_device())
    write_png(path, grid, {"mgi:generator": name, "mgi:seed": str(seed), "mgi:truncation": str(truncation)})
    out.print(path, markup=False)
    return 0
