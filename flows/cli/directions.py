"""`mgi directions`: makes directions for `mgi edit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli import completion
from flows.cli.common import Answer, guarded, made, out, say
from flows.cli.edit import space_option
from flows.cli.environment import Verb
from mgi.config import ConfigError
from mgi.devices import best_device

directions = typer.Typer(
    help="Make directions for `mgi edit`: from labelled samples, or from samples alone.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

GeneratorArgument = Annotated[
    str,
    typer.Argument(
        metavar="GENERATOR",
        autocompletion=completion.generators,
        help="A generator from `mgi weights list`, or a checkpoint file.",
    ),
]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of the samples.")]
OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the results.")]


@directions.command(cls=Verb)
@guarded
def sample(
    generator: GeneratorArgument,
    folder: OutOption,
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=100_000, help="How many samples.")] = 500,
    seed: SeedOption = 0,
) -> Answer:
    """Write latents.npz and numbered pictures of them; label them by eye in a CSV file with the columns index,label."""
    from mgi.profiles import whole_generator
    from tasks.editing.directions import write_samples

    files = []
    for path in write_samples(whole_generator(generator), count, seed, folder, best_device()):
        files.append(path)
        out.print(path, markup=False)
    say(
        f"next: label some in {folder}/labels.csv (columns index,label), then "
        f"`mgi directions fit {folder}/latents.npz {folder}/labels.csv --out NAME.npy`"
    )
    return Answer({"files": files})


@directions.command(cls=Verb)
@guarded
def fit(
    latents: Annotated[Path, typer.Argument(metavar="LATENTS.npz", help="Written by `mgi directions sample`.")],
    labels: Annotated[Path, typer.Argument(metavar="LABELS.csv", help="Columns index,label: two classes or numbers.")],
    path: Annotated[Path, typer.Option("--out", metavar="FILE.npy", help="File of the direction.")],
    space: Annotated[
        str | None, typer.Option(metavar="z|w", help="Space of the boundary.  [default: w if there is one]")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Numbers above it are positive.  [default: their median]")
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(metavar="LABEL", help="Class that the direction points to.  [default: the one that sorts last]"),
    ] = None,
) -> Answer:
    """Learn a direction from labels: the normal of a linear boundary between two classes (InterfaceGAN)."""
    from tasks.editing.directions import fit_direction

    if path.suffix != ".npy":
        raise ConfigError(f"{path}: expected a file name that ends in .npy")
    found = fit_direction(latents, labels, path, space_option(space), threshold, positive)
    boundary, (negative, positives) = found.boundary, found.counts
    made(
        path,
        f"{path}  in {found.space}, from {found.negative} ({negative}) to {found.positive} ({positives})",
        f"held-out accuracy {boundary.accuracy:.3f}, mean of both classes {boundary.balanced:.3f} (guessing: 0.5)",
        f"samples spread by {boundary.spread:.3g} along it: `mgi edit --scale` is in the same unit",
    )
    say(f"`mgi edit RUN --direction {path}` moves the results of a run along it")
    return Answer(
        {
            "direction": path,
            "space": found.space,
            "labels": {found.negative: negative, found.positive: positives},
            "positive": found.positive,
            "accuracy": boundary.accuracy,
            "balanced_accuracy": boundary.balanced,
            "spread": boundary.spread,
        }
    )


@directions.command(cls=Verb)
@guarded
def ganspace(
    generator: GeneratorArgument,
    folder: OutOption,
    components: Annotated[int, typer.Option(min=1, max=512, help="How many directions.")] = 10,
    count: Annotated[int, typer.Option("-n", "--count", min=2, max=1_000_000, help="How many samples.")] = 10_000,
    layer: Annotated[
        int | None,
        typer.Option(min=1, help="For generators without styles: layer of the features.  [default: the last at 8 x 8]"),
    ] = None,
    seed: SeedOption = 0,
) -> Answer:
    """Find directions without labels: principal components of w, or of features at a layer (GANSpace)."""
    from mgi.profiles import whole_generator
    from tasks.editing.directions import write_components

    rows = []
    for path, known in write_components(
        whole_generator(generator), components, count, folder, seed, layer, best_device()
    ):
        share, linear = known["explained_variance"], known["linear_in_latent"]
        note = f", {linear:.0%} of it linear in z" if known["space"] == "z" else ""
        made(path, f"{path}  {share:.1%} of the variance{note}")
        rows.append({"direction": path, "space": known["space"], "explained_variance": share, "linear": linear})
    first = rows[0]["direction"]
    say(f"the .png beside each shows what it does; `mgi edit RUN --direction {first}` moves results of a run by it")
    return Answer({"directions": rows})
