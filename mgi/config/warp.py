"""Sections `align`, `warp` and `oeft`: from two pictures to the warped exemplar."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from mgi.config.base import Section


class Align(Section):
    """Bringing photos of faces to the generator's template before anything else."""

    mode: Literal["auto", "require", "never"] = "auto"
    """auto: align where a face is found, else centre-crop; require: quarantine where none is found; never."""
    min_confidence: float = Field(0.9, ge=0.0, le=1.0)
    """Detections below this probability do not count as a face."""


class Warp(Section):
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


class Oeft(Section):
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
