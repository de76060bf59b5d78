"""`mgi train`: a generator of your own, a descriptor, a critic and an encoder of any, and translators of the field."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli import completion
from flows.cli.common import Answer, guarded, made, say
from flows.cli.environment import Verb
from flows.cli.train_encoder import encoder
from flows.cli.train_translator import translator
from flows.cli.training_bars import shown
from flows.cli.training_settings import Asked, Licence, Model, Resume, Seed, Steps, Threads
from flows.settings import parse_assignments
from mgi.config import ConfigError

if TYPE_CHECKING:
    from mgi.training import TrainingConfig

train = typer.Typer(
    help="Train a generator on your own images, networks that read one, and translators.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@train.callback()
def _train() -> None:
    """Train a generator on your own images, networks that read one, and translators."""


@train.command("generator", cls=Verb)
@guarded
def generator(
    context: typer.Context,
    model: Model,
    images: Annotated[
        Path | None,
        typer.Argument(help="Folder of images of one kind, such as aligned faces; --resume takes those of before."),
    ] = None,
    parent: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="GENERATOR",
            autocompletion=completion.generators,
            help="Adapt this one: a MobileStyleGAN, StyleGAN2 or PGGAN, by name or file.",
        ),
    ] = None,
    resolution: Annotated[int, typer.Option(metavar="64|128|256", help="Rows and columns of its images.")] = 64,
    steps: Steps = 30_000,
    resume: Resume = False,
    objective: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Adversarial objective: minimax, non-saturating, least-squares, wgan, wgan-gp or hinge.",
        ),
    ] = "hinge",
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another setting of docs/configuration.md; may be repeated."),
    ] = None,
    seed: Seed = 0,
    evaluate_every: Annotated[
        int, typer.Option(min=1, metavar="N", help="Steps between evaluations: a score and a grid of samples.")
    ] = 2000,
    samples: Annotated[
        int, typer.Option(min=16, metavar="N", help="Generated images per score; the score has 512 dimensions.")
    ] = 1024,
    licence: Licence = "not stated",
    threads: Threads = None,
) -> Answer:
    """Train a generator on IMAGES; MODEL/generator.safetensors can then be used wherever a generator is named.

    With `--from` a pretrained one is adapted: it has faces after minutes where a PGGAN from scratch takes hours.
    It may be killed at any time: `--resume` continues from the last checkpoint, at most two minutes old. Several GPUs:
    `torchrun --nproc-per-node N -m mgi train generator ...`.
    """
    if parent == "":  # an unset variable of a script
        raise ConfigError(
            "--from: expected a generator, found nothing; name one, or leave it out to train from scratch"
        )
    asked = Asked(context, model, resume)
    known = asked.settings("resolution", "objective", "seed")
    config = _config(parent or str(known.get("parent", "")), known, assignments or [])
    folder = asked.folder("images", images)
    if folder is None:
        raise ConfigError("IMAGES is missing: expected the folder of the images to learn from")
    # Not at the top: PyTorch takes seconds, which `mgi --help` should not.
    from tasks.train_generator import TrainingRequest, train_generator

    request = TrainingRequest(images=folder, config=config, samples=asked.value("samples"), **asked.run())
    with shown() as watcher:
        result = train_generator(request, resume, watcher)
    made(
        result.model,
        f"{result.steps} steps, {result.images_seen} images; best Frechet distance {result.best_score:.3f} "
        f"at step {result.best_step}",
        str(result.model),
    )
    say(f"`mgi sample {result.model}` shows more of it, `--set generator={result.model}` uses it in a run")
    return Answer(vars(result))


@train.command("descriptor", cls=Verb)
@guarded
def descriptor(
    generator: Annotated[
        str, typer.Argument(autocompletion=completion.generators, help="A generator, by name or file.")
    ],
    file: Annotated[Path, typer.Option("--out", metavar="FILE", help="The descriptor, FILE.safetensors.")],
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="A setting of docs/warps.md, such as samples; may be repeated."
        ),
    ] = None,
    threads: Threads = None,
) -> Answer:
    """Learn to read the features that GENERATOR would have at every place of a picture, from its own samples.

    Warps match by them with `--set warp.descriptor=mixed --set warp.descriptor_file=FILE`. Needs no pictures.
    """
    from mgi.profiles import parse_value
    from tasks.train_descriptor import train_descriptor
    from tasks.workers.sizing import usable_cores

    settings = {key: parse_value(text) for key, text in parse_assignments(assignments or []).items()}
    with shown() as watcher:
        found = train_descriptor(generator, file, settings, threads or usable_cores(), watcher.learnt)
    explained = f"explains {found['explained']:.1%} of the held-out features' variance, {found['samples']} samples"
    made(file, explained, str(file))
    say(f"`--set warp.descriptor=mixed --set warp.descriptor_file={file}` lets a run match by it")
    return Answer({"model": file, **found})


@train.command("critic", cls=Verb)
@guarded
def critic(
    generator: Annotated[
        str, typer.Argument(autocompletion=completion.generators, help="A generator, by name or file.")
    ],
    file: Annotated[Path, typer.Option("--out", metavar="FILE", help="The critic, FILE.safetensors.")],
    profile: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE.toml",
            autocompletion=completion.profiles,
            help="Of the runs that it is for: what its pictures look like.",
        ),
    ] = "embedded",
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Samples and so on, or of the profile; may be repeated."),
    ] = None,
    threads: Threads = None,
) -> Answer:
    """Learn to tell better hypotheses of GENERATOR from worse ones, from pairs that are made of its own samples.

    Runs choose by it with `--set selection.rule=critic --set selection.critic_file=FILE`. Needs no pictures.
    """
    from mgi.profiles import parse_value
    from tasks.train_critic import train_critic
    from tasks.workers.sizing import usable_cores

    said = parse_assignments(assignments or [])
    settings = {key: parse_value(text) for key, text in said.items() if "." not in key}
    overrides = {key: text for key, text in said.items() if "." in key}
    with shown() as watcher:
        found = train_critic(generator, file, settings, profile, overrides, threads or usable_cores(), watcher.learnt)
    right = ", ".join(f"{kind} {share:.2f}" for kind, share in found.items())
    made(file, f"right on held-out pairs: {right}", str(file))
    say(f"`--set selection.rule=critic --set selection.critic_file={file}` lets a run choose by it")
    return Answer({"model": file, "right": found})


train.command("encoder", cls=Verb)(guarded(encoder))
train.command("translator", cls=Verb)(guarded(translator))


def _config(parent: str, known: dict[str, Any], assignments: list[str]) -> TrainingConfig:
    from flows.training import generator_config
    from mgi.profiles import parse_value

    values = {key: parse_value(text) for key, text in parse_assignments(assignments).items()}
    return generator_config(parent, {**known, **values})
