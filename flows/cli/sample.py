"""`mgi sample`: random images from a generator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli import completion
from flows.cli.common import Answer, guarded, out
from mgi.config import ConfigError

MOST = 1024
"""Images per grid."""


@guarded
def sample(
    name: Annotated[
        str,
        typer.Argument(
            autocompletion=completion.generators, help="A generator from `mgi weights list`, or a checkpoint file."
        ),
    ],
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=MOST, help="How many images.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the latent codes.")] = 0,
    seeds: Annotated[
        str | None, typer.Option(metavar="1,5-9", help="A seed for each image, instead of --count and --seed.")
    ] = None,
    truncation: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Below 1: closer to the average image (style-based generators).")
    ] = 1.0,
    each: Annotated[
        bool, typer.Option("--each", help="Each image by itself at full size, as --out/seed00005.png.")
    ] = False,
    path: Annotated[
        Path | None,
        typer.Option("--out", metavar="GRID.png", help="Where to write.  [default: grid.png; with --each: samples]"),
    ] = None,
) -> Answer:
    """Write a grid of random samples from a generator, or each of them by itself."""
    from mgi.devices import best_device
    from mgi.profiles import whole_generator
    from mgi.sampling import draw_seeds, sample_grid, seeds_grid, seeds_of
    from storage.images import FORMATS, write_picture, write_png

    name, device = whole_generator(name), best_device()
    facts = {"mgi": "generated image", "mgi:generator": name, "mgi:truncation": str(truncation)}
    try:
        wanted = seeds_of(seeds) if seeds is not None else [*range(seed, seed + count)]
    except ValueError as error:
        raise ConfigError(f"--seeds: {error}") from None
    if each:
        folder = path or Path("samples")
        if folder.suffix:
            raise ConfigError(f"--out {folder}: expected a folder for --each")
        files = []
        for one, image in draw_seeds(name, wanted, truncation, device):
            file = folder / f"seed{one:05d}.png"
            write_png(file, image, {**facts, "mgi:seed": str(one)})
            files.append(file)
            out.print(file, markup=False)
        return Answer({"generator": name, "files": files, "seeds": wanted})
    target = path or Path("grid.png")
    if target.suffix.lower() not in FORMATS:
        raise ConfigError(f"--out {target}: expected a name that ends in {', '.join(FORMATS)}")
    if seeds is None:
        grid = sample_grid(name, count, seed, truncation, device)
        write_picture(target, grid, {**facts, "mgi:seed": str(seed)})
    else:
        if len(wanted) > MOST:
            raise ConfigError(f"--seeds: expected at most {MOST} for a grid, found {len(wanted)}; use --each")
        write_picture(target, seeds_grid(name, wanted, truncation, device), {**facts, "mgi:seeds": seeds})
    out.print(target, markup=False)
    return Answer({"generator": name, "files": [target], "seeds": wanted})
