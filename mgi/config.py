"""One frozen model that describes a run completely; profiles are complete TOML files of it.

The digest of this model decides whether a run may be resumed, so it holds what changes results and nothing else:
worker counts, progress and folders are arguments of the command, not configuration.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mgi.pairs import Hypothesis


class ConfigError(ValueError):
    """A configuration that cannot be used; the message is one line and says what to change."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True)


class Align(_Section):
    """Bringing photos of faces to the generator's template before anything else."""

    mode: Literal["auto", "require", "never"] = "auto"
    """auto: align where a face is found, else centre-crop; require: quarantine where none is found; never."""
    min_confidence: float = Field(0.9, ge=0.0, le=1.0)
    """Detections below this probability do not count as a face."""


class Warp(_Section):
    """Dense correspondence and the warp of the exemplar (MGI equations 1-6)."""

    method: Literal["plain", "oeft"] = "plain"
    """plain: the feature network as it is; oeft: fine-tuned on each pair first, as the section `oeft` says."""
    backbone: Literal["vgg16-imagenet", "vgg19-imagenet"] = "vgg19-imagenet"
    """Frozen feature network; both papers use VGG-19."""
    layers: tuple[str, ...] = ("relu3_4", "relu4_4")
    """Layers concatenated into the hierarchical feature, each centred and normalised first."""
    feature_size: int = Field(64, ge=4, le=256)
    """Features of all layers are resized to this many rows and columns before matching."""
    image_size: int = Field(256, ge=32, le=1024)
    """Source, exemplar and warp have this many rows and columns."""
    temperature: float = Field(100.0, gt=0)
    """alpha of equation 6."""
    centre: Literal["positions", "channels"] = "positions"
    """positions: equations 4-5 of the papers; channels: as CoCosNet's code does."""
    patch: Literal[1, 3] = 1
    """1: single positions, as the papers write; 3: M is averaged over 3x3 offsets first."""
    colours: Literal["full", "pooled"] = "pooled"
    """pooled: warp the exemplar mean-pooled to feature_size, then upsample (CoCosNet); full: warp overlapping patches
    of its pixels and blend them, so that the warp keeps the exemplar's detail inside each cell."""


OEFT_TERMS = ("contrastive", "perceptual", "contextual", "total")
"""Columns of a loss curve of OEFT. The first three are unweighted, and NaN where their weight is 0: not computed."""


class Oeft(_Section):
    """Online exemplar fine-tuning of the correspondence (OEFT equations 7-11), where `warp.method` is `oeft`.

    Single-layer features are `warp.layers` with one name; the other ablations are keys here.
    """

    iterations: int = Field(200, ge=1)
    """Steps per pair (paper)."""
    learning_rate: float = Field(1e-4, gt=0)
    """Step size of Adam."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates."""
    contrastive_weight: float = Field(1.0, ge=0)
    """Weight of L_cont (equation 8); 1 in the paper."""
    perceptual_weight: float = Field(1.0, ge=0)
    """lambda_perc of equation 11, on the Gram distance relative to the exemplar's. Unpublished; ours: docs/oeft.md."""
    context_weight: float = Field(0.1, ge=0)
    """lambda_context of equation 11. Unpublished; ours: docs/oeft.md."""
    tau: float = Field(0.07, gt=0)
    """Temperature of equation 7."""
    positions: int = Field(2048, ge=1)
    """Anchors of the contrastive loss per iteration, drawn anew each time where there are more; every position is a
    negative all the same."""
    perceptual_layers: tuple[str, ...] = ("relu1_2", "relu2_2", "relu3_3")
    """Layers of the Gram matrices, of the network as it was."""
    context_layers: tuple[str, ...] = ("relu3_3",)
    """Layers of the contextual loss, of the network as it was."""
    context_band_width: float = Field(0.5, gt=0)
    """h of the contextual loss: 0.5 in the original, 0.1 in CoCosNet."""
    train_from: str = "conv1_1"
    """First convolution that is fine-tuned; those before it stay as they are, which saves most of the time."""
    shared: bool = False
    """One set of weights for source and exemplar instead of W_S and W_T."""
    augment: bool = True
    """Each iteration also sees the pair with the source's colours and the exemplar's geometry changed at random."""
    image_size: int = Field(256, ge=32, le=1024)
    """Pictures are reduced to this size while fine-tuning; the warp that is kept is made at warp.image_size."""
    feature_size: int = Field(64, ge=4, le=256)
    """Rows and columns of matching while fine-tuning; must divide image_size."""

    @field_validator("betas")
    @classmethod
    def _decays(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= beta < 1 for beta in value):
            raise ValueError("expected two numbers from 0 to below 1")
        return value

    @model_validator(mode="after")
    def _divisible(self) -> Oeft:
        if self.image_size % self.feature_size:
            raise ValueError(f"expected an image_size that feature_size = {self.feature_size} divides")
        if not (self.contrastive_weight or self.perceptual_weight or self.context_weight):
            raise ValueError("expected at least one of contrastive_weight, perceptual_weight, context_weight above 0")
        return self


METHODS = ("mgi", "mganprior", "single-code", "image2stylegan", "pulse", "stylegan2-projector")
"""Names of `mgi.methods`; each is one file there, with the settings that make it."""


class Inversion(_Section):
    """Inversion of a picture (MGI equation 7): space, objective, solver and hypotheses."""

    method: Literal["mgi", "mganprior", "single-code", "image2stylegan", "pulse", "stylegan2-projector"] = "mgi"
    """Whose settings these are. `--method` sets them all; setting this key alone only changes the name."""
    budget: Literal["profile", "published"] = "profile"
    """What `--method` takes over: profile: space, objective and optimiser, but the profile's steps; published: also
    the number of steps that its paper states."""
    space: Literal["multi", "multi-z", "z", "w", "w+", "sphere"] = "multi"
    """What is optimised. multi: N codes fused at layer L, in z or, where there are styles, in whitened w; multi-z: the
    same with codes in z; z, w, w+: one code, one style, one style per layer; sphere: points on the sphere (PULSE)."""
    noise: Literal["stored", "fresh", "optimised"] = "stored"
    """Noise maps of style-based generators: the checkpoint's, drawn for each lane, or optimised from there."""
    noise_rows: int = Field(64, ge=4)
    """Maps with more rows than this stay the stored ones."""
    noise_weight: float = Field(0.0, ge=0)
    """Weight of the autocorrelation of optimised maps, which keeps pictures out of them (StyleGAN2's projector)."""
    degradation: str = "none"
    """What the result is compared through: none, down2 to down16, gray, rain, mask (free-form), or mask:FILE (white
    pixels are missing)."""
    observed: Literal["simulated", "given"] = "simulated"
    """simulated: pictures are whole, the degradation is applied to them; given: they are degraded already."""

    composing_layers: tuple[int, ...] = (4, 5, 6, 7, 8)
    """L of every hypothesis: codes are fused after this many convolution layers."""
    num_codes: tuple[int, ...] = (10, 20, 30, 40)
    """N of every hypothesis."""
    hypotheses: tuple[str, ...] = ()
    """Explicit list such as ["L05N10", "L07N20"]; empty means composing_layers x num_codes."""
    steps: int = Field(2000, ge=1)
    """Optimisation steps of every hypothesis (mGANprior: 2000 for super-resolution)."""
    coarse_steps: int = Field(0, ge=0)
    """How many of the steps use the generator's coarse head, where it has one: a readout at low resolution that
    costs a fraction of the full image. 0: every step renders the full image, as published."""
    optimizer: Literal["adam", "sgd"] = "adam"
    beta2: float = Field(0.999, gt=0, lt=1)
    """Adam's decay of squared gradients."""
    learning_rate: float = Field(0.05, gt=0)
    """Step size of the latent codes; the other parameter groups are multiples of it."""
    schedule: Literal["constant", "ramp", "cosine", "cycle"] = "constant"
    """constant: as published; ramp: five steps up, and down to zero over the last third; cosine: StyleGAN2's projector,
    up over 5 % of the steps and down over the last quarter; cycle: PULSE's, up, down and out."""
    alpha_rate: float = Field(1.0, ge=0)
    """Step size of the channel importance, as a multiple of learning_rate."""
    alpha_start: Literal["1/N", "one"] = "1/N"
    """Where the channel importance starts. 1/N is published, but presumes a generator that normalises its features;
    `one` starts at the plain mean of the codes' features."""
    tail_rate: float = Field(1.0, ge=0)
    """Step size of the tail's styles (style-based generators only), as a multiple of learning_rate."""
    tail: Literal["single", "per-layer"] = "per-layer"
    """One style for the whole tail, or one for each of its layers (style-based generators only)."""
    pixel_weight: float = Field(1.0, ge=0)
    """Weight of the L2 distance between down4(y) and the warp."""
    l1_weight: float = Field(0.0, ge=0)
    """Weight of the L1 distance between down4(y) and the warp."""
    perceptual_weight: float = Field(1.0, ge=0)
    """Weight of the perceptual distance."""
    perceptual_backbone: Literal["vgg16-imagenet", "vgg19-imagenet", "lpips-vgg"] = "vgg16-imagenet"
    """Feature network of the perceptual distance; lpips-vgg has to be downloaded."""
    perceptual_layers: tuple[str, ...] = ("relu3_3",)
    """Layers of the perceptual distance."""
    perceptual_norm: Literal["mganprior", "relative", "mse", "unit", "lpips"] = "mganprior"
    """mganprior: 0.001 x L1 on raw features; relative: L1 divided by the mean magnitude of the target's feature, per
    layer, so that one weight suits every layer; mse: squared differences, summed over layers (Image2StyleGAN); unit:
    squared differences of features of unit length, summed over layers, which is LPIPS without its learnt weights;
    lpips: with them (backbone lpips-vgg)."""
    perceptual_size: int = Field(256, ge=32)
    """Images are reduced to this size before the perceptual network; 128 costs a quarter of 256."""
    prior_weight: float = Field(0.0, ge=0)
    """Weight of the mean squared norm of the codes, measured in standard deviations of the generator's own latents:
    keeps them where the generator makes natural images."""
    geodesic_weight: float = Field(0.0, ge=0)
    """Weight of the geodesic distances between the points of one lane (space sphere: PULSE's cross loss)."""
    latent_noise: float = Field(0.0, ge=0)
    """Noise added to w while optimising, in units of w's spread; fades out over the first three quarters of the steps
    (StyleGAN2's projector)."""
    rungs: tuple[str, ...] = ()
    """Successive halving of a pair's hypotheses: ["40:8", "120:3"] keeps the best 8 after 40 steps and 3 of those
    after 120. Empty: all hypotheses take all steps, as published."""
    rank_by: Literal["loss", "score", "both"] = "both"
    """What rungs rank by: the loss so far, the distance of `selection.rule` (spatial-fd under set-fid), or the sum of
    both ranks."""
    plateau: int = Field(0, ge=0)
    """A lane ends early when its loss has not improved by 0.1 % in this many steps. 0: never."""
    snapshots: int = Field(0, ge=0)
    """How many latents of each lane's way are kept, evenly spread, for videos."""
    start: Literal["random", "mean"] = "random"
    """Where codes start: random samples (published), or the mean latent."""
    jitter: float = Field(0.3, ge=0)
    """Standard deviations by which the codes of one lane differ at the start (mean only)."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of generator and feature network; bf16 pays only where the processor computes it natively."""

    @field_validator("degradation")
    @classmethod
    def _known_degradation(cls, value: str) -> str:
        parse_degradation(value)
        return value

    @model_validator(mode="after")
    def _lpips_is_whole(self) -> Inversion:
        if self.perceptual_norm == "lpips" and self.perceptual_backbone != "lpips-vgg":
            raise ValueError("perceptual_norm lpips needs perceptual_backbone lpips-vgg, whose layers it weighs")
        return self

    @model_validator(mode="after")
    def _rain_is_simulated(self) -> Inversion:
        if self.degradation == "rain" and self.observed == "given":
            raise ValueError("rain must be simulated, because where given streaks are is not known")
        return self

    @field_validator("rungs")
    @classmethod
    def _falling(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        parse_rungs(value)
        return value

    @field_validator("hypotheses")
    @classmethod
    def _parsable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            Hypothesis.parse(text)
        return value

    def all_hypotheses(self) -> tuple[Hypothesis, ...]:
        """Every hypothesis of the run, in the order they are reported."""
        if self.hypotheses:
            return tuple(Hypothesis.parse(text) for text in self.hypotheses)
        return tuple(Hypothesis(layer, codes) for layer in self.composing_layers for codes in self.num_codes)


def parse_degradation(spec: str) -> tuple[str, str]:
    """("down", "4") of "down4", ("mask", "hole.png") of "mask:hole.png"; raises ValueError for what is no operator."""
    kind, colon, argument = spec.partition(":")
    if spec in ("none", "gray", "rain", "mask"):
        return spec, ""
    if kind == "mask" and argument:
        return kind, argument
    if not colon and spec.removeprefix("down") in ("2", "4", "8", "16"):
        return "down", spec.removeprefix("down")
    raise ValueError(f"expected none, down2, down4, down8, down16, gray, rain, mask or mask:FILE, found {spec!r}")


def parse_rungs(rungs: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """["40:8", "120:3"] -> ((40, 8), (120, 3)): after so many steps, so many hypotheses go on."""
    found: list[tuple[int, int]] = []
    for text in rungs:
        before, _, after = text.partition(":")
        if not (before.isdigit() and after.isdigit() and int(before) > 0 and int(after) > 0):
            raise ValueError(f"expected STEPS:KEPT such as '40:8', found {text!r}")
        found.append((int(before), int(after)))
    for (step, keep), (later, fewer) in itertools.pairwise(found):
        if later <= step or fewer >= keep:
            raise ValueError(f"expected more steps and fewer hypotheses from rung to rung, found {list(rungs)}")
    return tuple(found)


def planned_steps(settings: Inversion, lanes: int | None = None) -> int:
    """Lane-steps of one picture's hypotheses (or of `lanes` of them) where no lane ends early."""
    count = len(settings.all_hypotheses()) if lanes is None else lanes
    total = before = 0
    for until, keep in parse_rungs(settings.rungs):
        if until < settings.steps:
            total, before, count = total + (until - before) * count, until, min(count, keep)
    return total + (settings.steps - before) * count


class Selection(_Section):
    """Which hypothesis wins (MGI section 3.2, last paragraph)."""

    rule: Literal["spatial-fd", "sifid", "set-fid", "paper"] = "spatial-fd"
    """Definitions and why the papers' literal rule is not the default: docs/selection.md."""
    sifid_reference: Literal["warp", "exemplar"] = "warp"
    fidelity_bound: float = Field(1.5, ge=1.0)
    """A hypothesis whose reconstruction error exceeds the best one's by this factor cannot win."""
    backbone: Literal["vgg16-imagenet", "vgg19-imagenet", "inception-fid"] = "vgg16-imagenet"
    """Feature network of the distances."""
    layer: str = "relu4_3"
    """Its layer; measured by `python -m benchmarks.selection`."""
    domain: str = "generator"
    """What hypotheses are compared with: 'generator' (samples of the generator) or a folder of real images."""
    domain_samples: int = Field(512, ge=16)
    """How many generated samples or images the domain statistics use."""


class RunConfig(_Section):
    """Everything that decides the pixels of a run."""

    profile: str = "custom"
    """Name of the profile this configuration came from."""
    task: Literal["translate", "invert"] = "translate"
    """translate: sources by exemplars; invert: each picture as it is (`mgi invert`)."""
    generator: str = "mobile-stylegan-ffhq"
    """Zoo name or path of a generator checkpoint."""
    upsampling: int = Field(4, ge=1)
    """Factor between the warp and the result; the result has warp.image_size x upsampling rows, or the generator's
    resolution where that is smaller."""
    align: Align = Align()
    warp: Warp = Warp()
    oeft: Oeft = Oeft()
    inversion: Inversion = Inversion()
    selection: Selection = Selection()

    def warp_arrays(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """What the stage warp keeps of a pair beside pictures: {name: (shape, dtype)}."""
        if self.warp.method == "plain":
            return {}
        return {"oeft_loss": ((self.oeft.iterations, len(OEFT_TERMS)), "float32")}

    def digest(self) -> str:
        """sha256 of the canonical JSON of this configuration."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def profile_names() -> list[str]:
    """Names of the profiles that ship with the package."""
    folder = resources.files("mgi") / "profiles"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_config(profile: str, overrides: dict[str, Any] | None = None, method: str | None = None) -> RunConfig:
    """The configuration of a shipped profile or of a TOML file, with a method and `section.key` overrides applied.

    Args:
        profile: a name from `profile_names()` or a path that ends in `.toml`.
        method: one of `METHODS`, whose settings replace the profile's; overrides win over both.
        overrides: flat `{"inversion.steps": 40}`; values may be text, which is read as TOML where it parses.

    Raises:
        ConfigError: one line naming the field, what was expected and what was found.
    """
    data = _read_profile(profile)
    if method is not None:
        from mgi.methods.presets import preset  # not above: methods know the configuration

        chosen = {"degradation": "none", "budget": "profile", **data.get("inversion", {})}
        chosen |= {key.removeprefix("inversion."): value for key, value in (overrides or {}).items()}
        preset_values = preset(method, str(chosen["degradation"]), str(chosen["budget"]))
        data.setdefault("inversion", {}).update(preset_values)
    for key, value in (overrides or {}).items():
        _assign(data, key, value)
    try:
        return RunConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(validation_line(error)) from None


def _read_profile(profile: str) -> dict[str, Any]:
    if profile.endswith(".toml"):
        path = Path(profile)
        if not path.is_file():
            raise ConfigError(
                f"profile file {profile} does not exist; give a path to a .toml file "
                f"or one of {', '.join(profile_names())}"
            )
        text, name = path.read_text(encoding="utf-8"), path.stem
    elif profile in profile_names():
        text, name = (resources.files("mgi") / "profiles" / f"{profile}.toml").read_text(encoding="utf-8"), profile
    else:
        raise ConfigError(
            f"unknown profile {profile!r}; expected one of {', '.join(profile_names())} or a path ending in .toml"
        )
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"profile {profile} is not valid TOML: {error}") from None
    data.setdefault("profile", name)
    return data


def _assign(data: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    target = data
    for section in sections:
        target = target.setdefault(section, {})
        if not isinstance(target, dict):
            raise ConfigError(f"cannot set {key}: {section} is a value, not a section")
    target[last] = parse_value(value) if isinstance(value, str) else value


def parse_value(text: str) -> Any:
    """A value given as text, read as TOML where it parses."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def validation_line(error: ValidationError) -> str:
    """What pydantic refused, in one line."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or "configuration"
    if first["type"] == "extra_forbidden":
        return f"unknown key {field}; see `mgi profiles` or docs/configuration.md for the keys there are"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "value_error":  # our own words, which say what was found
        return f"{field}: {first['msg'].removeprefix('Value error, ')}{more}"
    return f"{field}: {first['msg']}, found {first['input']!r}{more}"
