"""`mgi train encoder`: latents of a generator from a picture in one pass."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli import completion
from flows.cli.common import Answer, made, say
from flows.cli.training_bars import shown
from flows.cli.training_settings import Asked, Licence, Model, Resume, Seed, Steps, Threads
from flows.settings import parse_assignments
from flows.training import settings_of
from mgi.config import ConfigError

if TYPE_CHECKING:
    from mgi.training.encoders import EncoderConfig


def encoder(
    context: typer.Context,
    model: Model,
    generator: Annotated[
        str,
        typer.Option(
            "--generator", metavar="NAME|FILE", autocompletion=completion.generators, help="Whose latents are said."
        ),
    ] = "mobile-stylegan-ffhq",
    images: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Pictures of the generator's kind, beside its own samples.")
    ] = None,
    parent: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="ENCODER",
            help="Start from this encoder.safetensors; of hfgi: the encoder that it belongs to.  [default of hfgi: "
            "the shipped one]",
        ),
    ] = None,
    arch: Annotated[
        str,
        typer.Option(metavar="NAME", help="small, psp, e4e, e2style; hfgi: a fusion."),
    ] = "small",
    adapt: Annotated[
        str,
        typer.Option(
            metavar="DEGRADATION",
            help="Also learn from the second half of the pictures after this, without their originals "
            "(UDA-inversion), such as rain-layers+mask+down2.",
        ),
    ] = "",
    target: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Damaged pictures of the same kind, instead of --adapt.")
    ] = None,
    steps: Steps = 6000,
    resume: Resume = False,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another setting of docs/encoders.md; may be repeated."),
    ] = None,
    seed: Seed = 0,
    evaluate_every: Annotated[
        int, typer.Option(min=1, metavar="N", help="Steps between evaluations: errors and a grid of pictures.")
    ] = 500,
    licence: Licence = "not stated",
    threads: Threads = None,
) -> Answer:
    """Learn to say a generator's latents of a picture in one pass.

    It learns from samples of the generator, whose latents are known, and from --images. `mgi invert FACES --method
    encoder --set options.encoder=MODEL/encoder.safetensors` uses it. With --arch hfgi it learns a fusion for an
    encoder that is there, MODEL/fusion.safetensors. It may be killed at any time: `--resume` continues from the last
    checkpoint, at most two minutes old.
    """
    asked = Asked(context, model, resume)
    config = _config(asked.settings("generator", "arch", "seed"), parent, adapt, target, assignments or [])
    # Not at the top: PyTorch takes seconds, which `mgi --help` should not.
    from tasks.encoder_material import EncoderRequest
    from tasks.train_encoder import train_encoder

    pictures, damaged = asked.folder("images", images), asked.folder("target", target)
    request = EncoderRequest(images=pictures, target=damaged, config=config, **asked.run())
    with shown() as watcher:
        result = train_encoder(request, resume, watcher)
    errors = ", ".join(f"{name} {value:.3f}" for name, value in result.errors.items())
    made(result.model, f"{result.steps} steps; best at step {result.best_step}: {errors}", str(result.model))
    fusion = f"hfgi --set options.encoder={config.parent} --set options.fusion"
    way = fusion if config.arch == "hfgi" else "encoder --set options.encoder"
    say(f"`mgi invert PICTURES --out RUN --method {way}={result.model}` uses it")
    return Answer(vars(result))


def _config(
    known: dict[str, Any], parent: Path | None, adapt: str, target: Path | None, assignments: list[str]
) -> EncoderConfig:
    """`known`: generator, arch and seed, or all settings of the run that is continued."""
    from mgi.profiles import parse_value
    from mgi.training.encoders.config import FUSION, EncoderConfig
    from mgi.weights.identity import content_hashes, generator_sha256

    if adapt and target is not None:
        raise ConfigError("--adapt and --target are two ways to say the target domain; give one")
    generator = str(known["generator"])
    values = {**known, "generator_sha256": generator_sha256(generator)}
    if known["arch"] == "hfgi" and "parent" not in known:
        values |= FUSION
        parent = parent or _shipped_encoder(generator)
    if parent is not None:
        if not parent.expanduser().is_file():
            raise ConfigError(f"--from: expected an encoder.safetensors of `mgi train encoder`, found no {parent}")
        file = parent.expanduser().resolve()
        values |= {"parent": str(file), "parent_sha256": content_hashes([file], file)[0]}
    if adapt:
        values |= {"target": "simulated", "degradation": adapt}
    elif target is not None:
        values |= {"target": "given"}
    values |= {key: parse_value(text) for key, text in parse_assignments(assignments).items()}
    with settings_of(EncoderConfig):
        return EncoderConfig.model_validate(values)


def _shipped_encoder(generator: str) -> Path:
    from mgi.translators.encoders import PREFIX, shipped_name
    from mgi.weights import path

    name = shipped_name(PREFIX, generator)
    if name is None:
        raise ConfigError(f"--arch hfgi needs an encoder of {generator}, and none ships; name yours by --from ENCODER")
    return path(name)
