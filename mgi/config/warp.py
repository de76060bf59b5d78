"""Sections `align`, `warp` and `oeft`: from two pictures to the warped exemplar."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from mgi.config.base import Section


class Align(Section):
    """Aligning photos of faces to the generator's template, before anything else."""

    mode: Literal["auto", "require", "never"] = "auto"
    """auto: align if a face is found, else centre-crop; require: quarantine the pair if none is found; never."""
    min_confidence: float = Field(0.9, ge=0.0, le=1.0)
    """Detections below this probability do not count as a face."""
    faces: Literal["largest", "all"] = "largest"
    """Of a photo of several people: the largest face, or all, each in a pair of its own."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.faces == "all" and self.mode == "never":
            raise ValueError('faces = "all" needs align.mode = "auto" or "require"; "never" looks for none')
        return self


LARGEST_DUAL = 96
"""Rows and columns at which a matrix of all positions by all takes 340 MB."""


class Warp(Section):
    """Dense correspondence and the warp of the exemplar (MGI equations 1-6)."""

    method: Literal["plain", "oeft"] = "plain"
    """plain: the feature network as it is; oeft: fine-tuned on each pair first, as the section `oeft` says."""
    backbone: Literal["vgg16-imagenet", "vgg19-imagenet", "resnet50-imagenet"] = "vgg19-imagenet"
    """Feature network: VGG-19 in MGI, "VGGNet or ResNet" in OEFT. Layers of a ResNet are stem and layer1 to layer4."""
    layers: tuple[str, ...] = ("relu3_4", "relu4_4")
    """Layers concatenated into the hierarchical feature."""
    normalise: Literal["layers", "concatenated"] = "layers"
    """layers: each layer is centred and scaled to unit length before concatenation, so all weigh the same;
    concatenated: the whole feature once, as equations 3-5 say, so layers with large values decide."""
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
    colours: Literal["full", "pooled", "shifted"] = "pooled"
    """pooled: warp the exemplar mean-pooled to feature_size, then upsample (CoCosNet); full: warp overlapping patches
    of its pixels and blend them, which keeps the exemplar's detail inside each cell; shifted: every patch is cut where
    its match lies between the cells, so nothing is averaged and no cell repeats. Needs matching = dual and a window."""
    descriptor: Literal["vgg", "generator", "mixed", "auto"] = "vgg"
    """What is matched. vgg: `layers` of `backbone`, as published; generator: what the generator's own features would
    be, read by a descriptor that was learnt from its samples (docs/warps.md); mixed: both; auto: mixed if there is a
    descriptor of the generator, else vgg."""
    descriptor_file: str = ""
    """A descriptor that `mgi train descriptor` made. Empty: the one that ships with the generator."""
    descriptor_samples: int = Field(0, ge=0)
    """If no descriptor ships with the generator and none is named: learn one from so many of the generator's samples
    before the first pair, once for all runs; 1000 take about a quarter of an hour for a generator of 1024 rows on two
    cores. 0: do not."""
    descriptor_share: float = Field(0.75, gt=0, lt=1)
    """Weight of the generator's features in `mixed`; VGG's is what is left."""
    matching: Literal["rows", "dual"] = "rows"
    """rows: equation 6, a softmax over the exemplar's positions; dual: its product with the softmax over the source's,
    so that both sides must suit each other. Only `dual` finds out how far each match can be trusted."""
    position_weight: float = Field(0.0, ge=0)
    """dual only: what a match costs by the square of its distance, in units of M; the distance is in sides of the
    picture. For pictures that are framed alike. 0: places do not count."""
    window: int = Field(0, ge=0, le=64)
    """dual only: candidates more than this many cells from the best one get no weight, so that colours of places far
    apart are not mixed. 0: all count."""
    coarse_rows: int = Field(0, ge=0, le=64)
    """dual only: matched at so many rows first; finer candidates more than one such cell from there get no weight. A
    divisor of feature_size; 0: all count."""
    refine_rows: int = Field(0, ge=0, le=256)
    """shifted only: the place of each match is moved by up to two cells at so many rows, to where the first layer
    agrees best. A multiple of feature_size that divides image_size; 0: places stay."""

    @property
    def judged(self) -> bool:
        """Whether the warp comes with a confidence."""
        return self.matching == "dual"

    @model_validator(mode="after")
    def _dual_only(self) -> Warp:
        if self.matching == "rows" and (self.position_weight or self.window):
            raise ValueError(
                "expected matching = dual with position_weight or window above 0, found matching = rows with "
                f"position_weight = {self.position_weight:g} and window = {self.window}"
            )
        if self.colours == "shifted" and not (self.matching == "dual" and self.window):
            raise ValueError(
                "colours = shifted takes one place per match: expected matching = dual and a window above 0, found "
                f"matching = {self.matching} and window = {self.window}"
            )
        if self.coarse_rows and (self.matching != "dual" or self.feature_size % self.coarse_rows):
            raise ValueError(
                f"coarse_rows: expected matching = dual and a divisor of feature_size = {self.feature_size}, found "
                f"matching = {self.matching} and {self.coarse_rows}"
            )
        fine = self.refine_rows
        if fine and (self.colours != "shifted" or fine % self.feature_size or self.image_size % fine):
            raise ValueError(
                f"refine_rows: expected colours = shifted and a multiple of feature_size = {self.feature_size} that "
                f"divides image_size = {self.image_size}, found colours = {self.colours} and {fine}"
            )
        if self.matching == "dual" and self.feature_size > LARGEST_DUAL:
            raise ValueError(
                f"matching = dual holds a matrix of all positions by all: expected a feature_size of at most "
                f"{LARGEST_DUAL}, found {self.feature_size}"
            )
        return self


OEFT_TERMS = ("contrastive", "perceptual", "contextual", "total")
"""Columns of a loss curve of OEFT. The first three are unweighted, and NaN where their weight is 0: not computed."""
OEFT_REGULARIZATION = "regularization"
"""One more column after them, unweighted, where `oeft.regularization` names a term."""


class Oeft(Section):
    """Online exemplar fine-tuning of the correspondence (OEFT equations 7-11), where `warp.method` is `oeft`.

    Single-layer features are `warp.layers` with one name; the other ablations are keys here. `literal` is an equation
    to the letter. What the paper leaves open, and why the defaults differ: docs/oeft.md.
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
    """lambda_perc of equation 11. Unpublished; ours, for each perceptual_form: docs/oeft.md."""
    context_weight: float = Field(0.1, ge=0)
    """lambda_context of equation 11. Unpublished; ours: docs/oeft.md."""
    regularization: Literal["none", "cycle", "weights"] = "none"
    """The "regularization loss" that the paper's introduction names and equation 11 lacks. cycle: the exemplar, warped
    to the source and back, should be itself (CoCosNet's correspondence regularization); weights: W_S and W_T should
    stay near the pretrained ones."""
    regularization_weight: float = Field(0.0, ge=0)
    """Its weight; above 0 exactly when there is one."""
    contrastive_form: Literal["mean", "literal"] = "mean"
    """mean: equation 7 with all negatives at once, averaged over anchors; literal: equation 8, every negative alone in
    equation 7, summed over anchors and negatives."""
    contrastive_features: Literal["unit", "raw"] = "unit"
    """What equation 7 compares. unit: centred and of unit length, as what is matched and as in the works it cites; raw:
    the network's output, as it is printed."""
    tau: float = Field(0.07, gt=0)
    """Temperature of equation 7."""
    positions: int = Field(2048, ge=1)
    """Anchors of the contrastive loss per iteration, drawn again each time if there are more (feature_size^2); every
    position is still a negative."""
    style_backbone: Literal["warp", "vgg16-imagenet", "vgg19-imagenet"] = "warp"
    """phi of equations 9-10, a VGG in the paper. warp: the network of warp.backbone as it was."""
    perceptual_form: Literal["relative", "literal"] = "relative"
    """relative: the Gram distance over the exemplar's own Gram matrix, mean over layers; literal: equation 9, sums."""
    perceptual_layers: tuple[str, ...] = ("relu1_2", "relu2_2", "relu3_3")
    """Layers of the Gram matrices, of the network as it was."""
    context_form: Literal["mean", "literal"] = "mean"
    """mean: -log of the mean over positions, as published code has it; literal: -log of their sum, equation 10."""
    context_centre: Literal["image", "batch"] = "image"
    """Features are centred on the exemplar's mean. image: of each view alone (the contextual loss as a formula, and
    CoCosNet's code); batch: of a pair's views together (the code of the loss's authors)."""
    context_layers: tuple[str, ...] = ("relu3_3",)
    """Layers of the contextual loss, of the network as it was."""
    context_size: int = Field(32, ge=1)
    """They are compared at no more than this many rows and columns, every position with every other."""
    context_band_width: float = Field(0.5, gt=0)
    """h of the contextual loss: 0.5 in the original, 0.1 in CoCosNet."""
    train_from: str = "conv1_1"
    """First convolution that is fine-tuned; those before it stay as they are, which saves most of the time. Of a
    ResNet: stem, or a block such as layer2.0."""
    shared: bool = False
    """One set of weights for source and exemplar instead of W_S and W_T."""
    augment: bool = True
    """Each iteration also sees a copy of the pair with the source's colours and the exemplar's geometry changed at
    random."""
    image_size: int = Field(256, ge=32, le=1024)
    """Pictures are scaled down to this size while fine-tuning; the warp that is kept is made at warp.image_size."""
    feature_size: int = Field(64, ge=4, le=256)
    """Rows and columns of matching while fine-tuning; must divide image_size."""

    def terms(self) -> tuple[str, ...]:
        """Columns of this configuration's loss curve."""
        return OEFT_TERMS if self.regularization == "none" else (*OEFT_TERMS, OEFT_REGULARIZATION)

    @field_validator("betas")
    @classmethod
    def _decays(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= beta < 1 for beta in value):
            raise ValueError("expected two numbers from 0 to below 1")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Oeft:
        if self.image_size % self.feature_size:
            raise ValueError(f"expected an image_size that feature_size = {self.feature_size} divides")
        if not (self.contrastive_weight or self.perceptual_weight or self.context_weight):
            raise ValueError("expected at least one of contrastive_weight, perceptual_weight, context_weight above 0")
        if (self.regularization != "none") != (self.regularization_weight > 0):
            raise ValueError(
                "expected a regularization_weight above 0 exactly when regularization is not none, found "
                f"regularization = {self.regularization} and regularization_weight = {self.regularization_weight:g}"
            )
        return self
