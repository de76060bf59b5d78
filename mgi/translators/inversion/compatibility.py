"""Settings that cannot work together, found before anything is computed: configuration against generator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mgi.config import ConfigError, RunConfig
from mgi.critics import critic_name
from mgi.features.facts import known_layers, layer_rows
from mgi.features.lpips import LAYERS as LPIPS_LAYERS
from mgi.generators import Generator, has_bf16, is_styled
from mgi.inversion.spaces import check_layer
from mgi.metrics.locations import GRID
from mgi.scoring.domains import POOLED
from mgi.translators.inversion.comparison import Comparison, working_size

SINGLE = ("z", "w", "w+", "sphere")
"""Spaces with one code: a hypothesis's layer and number of codes mean nothing in them."""


@dataclass(frozen=True)
class GeneratorFacts:
    """What settings depend on.

    `layers`: at how many layers codes can be composed. The others: whether there are styles and noise maps, and whether
    the generator computes in bf16.
    """

    name: str
    resolution: int
    layers: int
    styles: bool
    noise: bool
    bf16: bool


def facts_of(generator: Generator, name: str) -> GeneratorFacts:
    """The facts of a loaded generator."""
    return GeneratorFacts(
        name,
        generator.resolution,
        generator.layers,
        styles=is_styled(generator),
        noise=bool(generator.noise_shapes()),
        bf16=has_bf16(generator),
    )


def require_compatible(config: RunConfig, facts: GeneratorFacts) -> None:
    """Raise ConfigError, which names every problem, if a run would fail or a setting would do nothing."""
    found = problems(config, facts)
    if len(found) == 1:
        raise ConfigError(found[0])
    if found:
        listed = " ".join(f"({number}) {problem}." for number, problem in enumerate(found, start=1))
        raise ConfigError(f"{len(found)} things cannot work together: {listed}")


def problems(config: RunConfig, facts: GeneratorFacts | None) -> list[str]:
    """All settings that cannot work together, one line each; without facts, those that show without a generator."""
    found = [*_of_warp(config), *_of_loss(config), *_of_selection(config)]
    return found if facts is None else [*_of_generator(config, facts), *_of_sizes(config, facts), *found]


def _of_generator(config: RunConfig, facts: GeneratorFacts) -> Iterator[str]:
    settings = config.inversion
    try:
        check_layer(settings, facts.layers, facts.name)
    except ConfigError as error:
        yield str(error)
    if settings.precision == "bf16" and not facts.bf16:
        yield f"{facts.name} computes in fp32 only; set inversion.precision to fp32"
    if settings.pair_start == "style-mix" and not (facts.styles and settings.space == "multi"):
        yield (
            f"inversion.pair_start = style-mix needs a generator with styles and space = multi, found {facts.name} and "
            f"{settings.space}; use pair_start = none"
        )
    if settings.start == "encoder" and not (facts.styles and settings.space in ("multi", "w", "w+")):
        yield (
            f"inversion.start = encoder needs a generator with styles and space multi, w or w+, found {facts.name} and "
            f"{settings.space}; use start = random"
        )
    if settings.space in ("w", "w+") and not facts.styles:
        made_by = "" if settings.method == "mgi" else f" (inversion.method {settings.method})"
        yield f"{facts.name} has no latent space {settings.space}{made_by}: it has no styles; use multi, z or sphere"
    if settings.noise != "stored" and not facts.noise:
        yield f"inversion.noise = {settings.noise}: {facts.name} has no noise; use stored"


def _of_sizes(config: RunConfig, facts: GeneratorFacts) -> Iterator[str]:
    settings, chosen = config.inversion, config.selection
    try:
        compare = Comparison.of(config, facts.resolution, "cpu")
        operator, observer = compare.operator([0]), compare.observer([0])
    except ConfigError as error:
        yield str(error)
        return
    size = working_size(config, facts.resolution)
    if settings.perceptual_resize == "mean":
        observed = {operator.observed_rows(compare.rows), observer.observed_rows(size), size}
        for rows in sorted(observed, reverse=True):
            if rows % min(rows, settings.perceptual_size):
                yield (
                    f"inversion.perceptual_size = {settings.perceptual_size} does not divide the {rows} rows that are "
                    f"compared; use {rows} or half of it"
                )
                break
    rows_of_layer = layer_rows(chosen.backbone, chosen.layer, size)
    if rows_of_layer is not None and rows_of_layer < GRID and chosen.layer != POOLED:
        fitting = [x for x in known_layers(chosen.backbone) if (layer_rows(chosen.backbone, x, size) or 0) >= GRID]
        yield (
            f"selection.layer {chosen.layer} of {chosen.backbone} has {rows_of_layer}x{rows_of_layer} locations on "
            f"images of {size}x{size} pixels, expected at least {GRID}x{GRID}; "
            + (f"use {fitting[-1]} or a shallower layer" if fitting else "use a larger warp.image_size or generator")
        )


def _of_warp(config: RunConfig) -> Iterator[str]:
    if config.task != "translate":
        return
    warp, oeft = config.warp, config.oeft
    yield from _unknown(warp.backbone, "warp.layers", warp.layers)
    if warp.colours != "pooled" and warp.image_size % warp.feature_size:
        yield (
            f"warp.colours = {warp.colours} needs a warp.feature_size that divides warp.image_size, found "
            f"{warp.feature_size} and {warp.image_size}; change one of them or use colours = pooled"
        )
    yield from _of_confidence(config)
    if warp.method != "oeft":
        return
    if warp.descriptor == "generator":
        yield "warp.method = oeft fine-tunes what warp.descriptor = generator does not match by; use mixed or vgg"
    for name in ("perceptual", "context"):
        if getattr(oeft, f"{name}_weight"):
            yield from _unknown(warp.backbone, f"oeft.{name}_layers", getattr(oeft, f"{name}_layers"))
    convolutions = [layer.replace("relu", "conv") for layer in known_layers(warp.backbone)]
    deepest = max((i for i, name in enumerate(known_layers(warp.backbone)) if name in warp.layers), default=-1)
    learning = convolutions[: deepest + 1]
    if learning and oeft.train_from not in learning:
        yield (
            f"oeft.train_from = {oeft.train_from} leaves nothing to fine-tune: expected a convolution that warp.layers "
            f"{list(warp.layers)} of {warp.backbone} depend on, {learning[0]} to {learning[-1]}"
        )


def _of_confidence(config: RunConfig) -> Iterator[str]:
    settings, judged = config.inversion, config.warp.judged
    for key in ("confidence_weight", "fallback"):
        if getattr(settings, key) and not judged:
            yield f"inversion.{key} needs a warp that is judged: use warp.matching = dual, or set it to its default"
    if settings.fallback and settings.pair_start == "none":
        yield "inversion.fallback shows the style mix where the warp is not trusted; use pair_start = style-mix"


def _of_loss(config: RunConfig) -> Iterator[str]:
    settings = config.inversion
    if settings.perceptual_weight:
        layers = settings.perceptual_layers
        yield from _unknown(settings.perceptual_backbone, "inversion.perceptual_layers", layers)
        foreign = [x for x in layers if x not in LPIPS_LAYERS]
        if settings.perceptual_norm == "lpips" and foreign:
            yield f"inversion.perceptual_layers: lpips has no {foreign[0]}; use {', '.join(LPIPS_LAYERS)}"
    if settings.space in SINGLE and settings.warm_start and len(settings.all_hypotheses()) > 1:
        yield f"inversion.warm_start does nothing in space {settings.space}, whose hypotheses are alike; set it to 0"


def _of_selection(config: RunConfig) -> Iterator[str]:
    chosen = config.selection
    yield from _unknown(chosen.backbone, "selection.layer", (chosen.layer,))
    if chosen.layer == POOLED and chosen.rule in ("spatial-fd", "sifid"):
        yield (
            f"selection.rule = {chosen.rule} compares locations, and {POOLED} has one; use the rule paper or set-fid, "
            "or another selection.layer"
        )
    try:
        critic_name(config)
    except ConfigError as error:
        yield str(error)
    by_score = config.inversion.rungs and config.inversion.rank_by != "loss"
    if chosen.layer == POOLED and chosen.rule == "set-fid" and by_score:
        yield f"inversion.rungs rank by locations under set-fid, and {POOLED} has one; set rank_by to loss"


def _unknown(network: str, key: str, layers: tuple[str, ...]) -> Iterator[str]:
    known = known_layers(network)
    unknown = [layer for layer in layers if known and layer not in known]
    if unknown:
        yield f"{key}: {network} has no layer {unknown[0]}; use one of {', '.join(known)}"
