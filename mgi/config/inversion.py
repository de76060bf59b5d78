"""Section `inversion`: space, objective, solver, search."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from mgi.config.base import Section
from mgi.config.degradation import parse_degradation
from mgi.pairs import Hypothesis

Layers = Annotated[int, Field(ge=1, le=99)]
Codes = Annotated[int, Field(ge=1, le=9999)]

METHODS = ("mgi", "mganprior", "single-code", "image2stylegan", "pulse", "stylegan2-projector")
"""Names of `mgi.translators`; each is one file there, with the settings that make it."""


class Inversion(Section):
    """Inversion of a picture (MGI equation 7): space, objective, solver and hypotheses."""

    method: Literal["mgi", "mganprior", "single-code", "image2stylegan", "pulse", "stylegan2-projector"] = "mgi"
    """The method that these settings belong to. `--method` and `--set inversion.method=...` load all settings of a
    method; in a TOML file this is only the name of what the file states."""
    budget: Literal["profile", "published"] = "profile"
    """What `--method` loads. profile: space, objective and optimiser, with the profile's number of steps; published:
    also the number of steps that its paper states."""
    space: Literal["multi", "multi-z", "z", "w", "w+", "sphere"] = "multi"
    """What is optimised. multi: N codes fused at layer L, in z or, if there are styles, in whitened w; multi-z: the
    same with codes in z; z, w, w+: one code, one style, one style per layer; sphere: points on the sphere (PULSE)."""
    noise: Literal["stored", "fresh", "optimised"] = "stored"
    """Noise maps of style-based generators: the checkpoint's, drawn for each lane, or optimised from there."""
    noise_rows: int = Field(64, ge=4)
    """Maps with more rows than this stay the stored ones."""
    noise_weight: float = Field(0.0, ge=0)
    """Weight of the autocorrelation of optimised maps, which keeps pictures out of them (StyleGAN2's projector)."""
    degradation: str = "none"
    """What the result goes through before it is compared: none, down2 to down16, gray, rain, rain-layers (imgaug's),
    mask (free-form), mask:FILE (white pixels are missing), strokes (GPEN's masks), or several such as rain+mask+down2.
    noiseN (standard deviation in 8-bit levels) and jpegQ (quality) at the end spoil simulated pictures; results do not
    go through them."""
    observed: Literal["simulated", "given"] = "simulated"
    """simulated: the pictures are whole and the degradation is applied to them; given: they are already degraded."""
    downscale: Literal["mean", "bilinear", "bicubic"] = "mean"
    """How results are scaled down before the comparison, and how down2 to down16 simulate. mean: means of cells;
    bilinear: without antialiasing, as mGANprior does; bicubic: PULSE's kernel. Masks and rain always use means."""
    picture_size: Literal["warp", "full"] = "warp"
    """Rows at which `mgi invert` keeps pictures and compares with them: warp.image_size, or the generator's resolution.
    Warps have warp.image_size rows either way."""
    merge: Literal["none", "luminance"] = "none"
    """luminance: results take their luminance from what was observed (degradation gray: mGANprior's colorization)."""

    composing_layers: tuple[Layers, ...] = (4, 5, 6, 7, 8)
    """L of every hypothesis: codes are fused after this many convolution layers."""
    num_codes: tuple[Codes, ...] = (10, 20, 30, 40)
    """N of every hypothesis."""
    hypotheses: tuple[str, ...] = ()
    """Explicit list such as ["L05N10", "L07N20"]; empty means composing_layers x num_codes."""
    steps: int = Field(2000, ge=1)
    """Optimisation steps of every hypothesis (mGANprior: 2000 for super-resolution)."""
    coarse_steps: int = Field(0, ge=0)
    """How many of the steps use the generator's coarse head, if it has one: a readout at low resolution that
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
    tail_start: Literal["mean", "sample"] = "mean"
    """Where the tail's styles start (style-based generators only): at the mean, or all at one random sample of the
    generator's own. The finest ones hardly move, and the mean style has no texture."""
    tail_spread: float = Field(0.7, gt=0, le=1)
    """How far from the mean that sample is: 1 as the generator's own are, less for plainer ones (truncation)."""
    fused_spread: float = Field(0.0, ge=0, le=1)
    """How far the channels of fused features are scaled back to the variation over the picture that they have in the
    generator's samples: 0: not at all, as published; 1: wholly. Several codes fused vary less, which makes soft
    pictures."""
    pair_start: Literal["none", "style-mix"] = "none"
    """Where a pair's lanes start. none: as published; style-mix: source and exemplar are inverted first, once per
    picture, and every lane starts from the source's codes and coarse styles and the exemplar's fine ones."""
    mix_rows: int = Field(32, ge=4)
    """Style mixing: the exemplar's styles begin after the last layer with this many rows."""
    fallback: bool = False
    """Where the warp is not trusted, the target is the style mix instead of the warp, in proportion to the confidence.
    Needs pair_start = style-mix and warp.matching = dual."""
    pixel_weight: float = Field(1.0, ge=0)
    """Weight of the L2 distance between down4(y) and the warp."""
    l1_weight: float = Field(0.0, ge=0)
    """Weight of the L1 distance between down4(y) and the warp."""
    pixel_range: Literal["signed", "unit"] = "signed"
    """Range of the pixels in both: signed: [-1, 1]; unit: [0, 1], where L2 is a quarter of that and L1 a half."""
    confidence_weight: float = Field(0.0, ge=0, le=1)
    """How much the warp's confidence weighs places in the distances to it: 0, all alike, as published; 1, a place
    counts by its confidence alone. Needs warp.matching = dual."""
    pixel_floor: float = Field(0.0, ge=0)
    """L2 never counts as less than this, so coming closer gains nothing (PULSE's eps)."""
    perceptual_weight: float = Field(1.0, ge=0)
    """Weight of the perceptual distance."""
    perceptual_backbone: Literal["vgg16-imagenet", "vgg19-imagenet", "lpips-vgg"] = "vgg16-imagenet"
    """Feature network of the perceptual distance; lpips-vgg has to be downloaded."""
    perceptual_layers: tuple[str, ...] = ("relu3_3",)
    """Layers of the perceptual distance."""
    perceptual_norm: Literal["mganprior", "relative", "mse", "unit", "lpips"] = "mganprior"
    """mganprior: 0.001 x L1; relative: L1 divided by the mean magnitude of the target's feature, per layer, so that one
    weight suits every layer; mse: squared differences, summed over layers (Image2StyleGAN). mganprior and mse are of
    features of unit-variance pixels, whatever range the network itself expects. unit: squared differences of features
    of unit length, summed over layers: LPIPS without its learnt weights; lpips: with them (backbone lpips-vgg)."""
    perceptual_size: int = Field(256, ge=32)
    """Images are scaled down to this size before the perceptual network; 128 costs a quarter of 256."""
    perceptual_resize: Literal["mean", "nearest"] = "mean"
    """mean: larger images are reduced by means of cells; nearest: all images are resized to perceptual_size by the
    nearest pixel, smaller ones too, as mGANprior does."""
    detail_weight: float = Field(0.0, ge=0)
    """Weight of how far the bands of detail of a result, at the rows that are compared, half and a quarter of them,
    fall short of `detail_share` of the domain's (docs/warps.md, "Sharpness"). Pairs only: what is inverted as it is has
    the detail that it has. 0: none, as published."""
    detail_share: float = Field(0.8, gt=0, le=2)
    """The strength that bands should reach, as a share of the mean strength in the domain's pictures."""
    target_detail: float = Field(0.0, ge=0, le=2)
    """The share of the domain's detail to which the same bands of a warp are raised, 1.6-fold at most, before it is
    followed: a result near a soft target is soft, and warps are. Pairs only. 0: followed as it is, as published."""
    prior_weight: float = Field(0.0, ge=0)
    """Weight of the mean squared norm of the codes, measured in standard deviations of the generator's own latents:
    keeps them where the generator makes natural images."""
    geodesic_weight: float = Field(0.0, ge=0)
    """Weight of the geodesic distances between the points of one lane (space sphere: PULSE's cross loss)."""
    geodesic_on: Literal["w", "sphere"] = "w"
    """Which points those are. w: what the synthesis reads, as in PULSE's code; sphere: the points before that, as in
    its text."""
    sphere_fit: Literal["principal", "diagonal"] = "principal"
    """How points on the sphere become w: by the principal directions of the mapping network's output, or dimension by
    dimension by mean and deviation, as published."""
    sphere_start: Literal["one", "each"] = "one"
    """one: all styles start at one random point, so that the start is a sample of the generator; each: every style at a
    point of its own, as published."""
    latent_noise: float = Field(0.0, ge=0)
    """Noise added to w while optimising, in units of w's spread; fades out over the first three quarters of the steps
    (StyleGAN2's projector)."""
    rungs: tuple[str, ...] = ()
    """Successive halving of a pair's hypotheses: ["40:8", "120:3"] keeps the best 8 after 40 steps and 3 of those
    after 120. Empty: all hypotheses take all steps, as published."""
    rank_by: Literal["loss", "score", "both"] = "both"
    """What rungs rank by: the loss so far, the distance of `selection.rule` (spatial-fd under set-fid), or the sum of
    both ranks."""
    warm_start: int = Field(0, ge=0)
    """The hypothesis with the fewest codes takes this many steps first (not beyond the first rung), and the pair's
    others start from what it has found (spaces multi and multi-z). 0: every hypothesis starts on its own, as
    published."""
    plateau: int = Field(0, ge=0)
    """A lane ends early when its loss has not improved by 0.1 % in this many steps. 0: never."""
    snapshots: int = Field(0, ge=0)
    """How many latents of each lane's trajectory are kept, evenly spaced, for videos."""
    keep: Literal["best", "last"] = "best"
    """Which latents are the result: those of the step with the smallest loss, or those after the last step, as
    published."""
    start: Literal["random", "mean", "encoder"] = "random"
    """Where codes start: random samples (published), the mean latent, or what an encoder says of the picture (spaces
    multi, w and w+; tails, too)."""
    encoder_file: str = ""
    """The encoder of start = encoder, from `mgi train encoder`; empty: the one that ships for the generator."""
    jitter: float = Field(0.3, ge=0)
    """Standard deviations by which the codes of one lane differ at the start (not random)."""
    compile: bool = False
    """Compile generator and feature network for every shape (needs a C++ compiler; the first pass of each hypothesis
    can take minutes, later processes reuse it). A tenth faster on a CPU; meant for long runs on GPUs."""
    precision: Literal["fp32", "bf16", "auto"] = "fp32"
    """Arithmetic of generator and loss network while they search; bf16 pays only if the processor computes it natively
    (AVX512-BF16, AMX), and auto takes it only there. Warps, scores and results are computed in fp32 in any case."""

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
    def _norms_that_weigh(self) -> Inversion:
        if self.confidence_weight and self.perceptual_norm in ("unit", "lpips"):
            raise ValueError(
                "confidence_weight weighs places, which perceptual_norm = unit and lpips cannot: expected mganprior, "
                f"relative or mse, found {self.perceptual_norm}"
            )
        return self

    @model_validator(mode="after")
    def _rain_is_simulated(self) -> Inversion:
        kinds = {kind for kind, _ in parse_degradation(self.degradation)}
        if kinds & {"rain", "rain-layers"} and self.observed == "given":
            raise ValueError("rain must be simulated, because nobody knows where the streaks of a given picture are")
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
            found = Hypothesis.parse(text)
            if not (1 <= found.composing_layer <= 99 and 1 <= found.num_codes <= 9999):
                raise ValueError(f"expected 1 to 99 layers and 1 to 9999 codes, found {text!r}")
        return value

    @model_validator(mode="after")
    def _each_hypothesis_once(self) -> Inversion:
        found = [hypothesis.id for hypothesis in self.all_hypotheses()]
        if not found:
            raise ValueError("expected at least one of composing_layers and one of num_codes, or hypotheses")
        twice = [id for id, count in Counter(found).items() if count > 1]
        if twice:
            raise ValueError(f"hypotheses, or composing_layers x num_codes, hold {twice[0]} twice; remove one")
        return self

    def all_hypotheses(self) -> tuple[Hypothesis, ...]:
        """Every hypothesis of the run, {y_1, ..., y_N} of MGI section 3.2, in the order they are reported."""
        if self.hypotheses:
            return tuple(Hypothesis.parse(text) for text in self.hypotheses)
        return tuple(Hypothesis(layer, codes) for layer in self.composing_layers for codes in self.num_codes)


def parse_rungs(rungs: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """["40:8", "120:3"] -> ((40, 8), (120, 3)): after so many steps, so many hypotheses continue."""
    found: list[tuple[int, int]] = []
    for text in rungs:
        before, _, after = text.partition(":")
        if not (text.isascii() and before.isdigit() and after.isdigit() and int(before) > 0 and int(after) > 0):
            raise ValueError(f"expected STEPS:KEPT such as '40:8', found {text!r}")
        found.append((int(before), int(after)))
    for (step, keep), (later, fewer) in itertools.pairwise(found):
        if later <= step or fewer >= keep:
            raise ValueError(f"expected more steps and fewer hypotheses from rung to rung, found {list(rungs)}")
    return tuple(found)


def planned_steps(settings: Inversion, lanes: int | None = None) -> int:
    """Lane-steps of one picture's hypotheses (or of `lanes` of them) if no lane ends early."""
    count = len(settings.all_hypotheses()) if lanes is None else lanes
    total = before = 0
    for until, keep in parse_rungs(settings.rungs):
        if until < settings.steps:
            total, before, count = total + (until - before) * count, until, min(count, keep)
    return total + (settings.steps - before) * count
