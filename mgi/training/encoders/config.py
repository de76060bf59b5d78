"""Everything that decides what the training of an encoder computes."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from mgi.config import parse_degradation
from mgi.config.base import Section

Arch = Literal["small", "psp", "e4e", "e2style", "hfgi"]
SIDES: dict[str, int] = {"small": 128, "psp": 256, "e4e": 256, "e2style": 256, "hfgi": 256}
"""Rows of the pictures that each reads."""
FUSION: dict[str, Any] = {"learning_rate": 1e-3, "batch": 8}
"""Defaults of hfgi where they differ; published: a learning rate of 1e-4 for 100,000 steps, identity 0.1."""


class EncoderConfig(Section):
    """Settings of `mgi train encoder`; docs/encoders.md has measurements behind the defaults."""

    generator: str
    """Name or file of the generator whose latents are said."""
    generator_sha256: str = ""
    """Hash of its weights; filled in by the command."""
    arch: Arch = "small"
    """small: EfficientNet-Lite0, six million weights; psp, e4e, e2style: as published, for GPUs; hfgi: no encoder, but
    what puts the losses of `parent` back into the generator's features (consultation fusion)."""
    parent: str = ""
    """File of an encoder of the same kind that training starts from (`--from`); empty: from the pretrained body. hfgi:
    the encoder whose losses it puts back."""
    parent_sha256: str = ""
    """Hash of that file; filled in by the command."""
    body: Literal["random", "ir-se50"] = "random"
    """Where the bodies of psp, e4e and e2style start; ir-se50: from the face network of the user's, as published."""
    components: int = Field(192, ge=8, le=512)
    """Principal directions of the generator's latents that are said of each style (small only)."""
    samples: int = Field(4000, ge=0)
    """Pictures of the generator whose latents are known; each is drawn once and kept. 0: only the user's pictures."""
    mixed: float = Field(0.3, ge=0, le=1)
    """Share of those samples whose finer styles are another face's."""
    batch: int = Field(16, ge=2)
    """Pictures per step, from each kind that there is."""
    optimizer: Literal["ranger", "adam"] = "ranger"
    """ranger: RAdam with Lookahead and centred gradients, as published."""
    learning_rate: float = Field(3e-3, gt=0)
    """Of the encoder; published encoders take 1e-4."""
    body_rate: float = Field(0.3, ge=0)
    """Of the pretrained body, as a multiple; 0 keeps it as it is (small only)."""
    latent_weight: float = Field(1.0, ge=0)
    """Weight of the squared error of known coordinates."""
    pictures: int = Field(4, ge=0)
    """How many pictures of each batch are rendered and compared; those that have no known latents need it."""
    coarse: bool = True
    """Read those pictures from the generator's coarse head, if one ships: a third of the time at 1024."""
    pixel_weight: float = Field(1.0, ge=0)
    """Weight of the squared error of pixels in [-1, 1] (equation 4)."""
    perceptual_weight: float = Field(0.8, ge=0)
    """Weight of the squared difference between features of unit length (equation 4: LPIPS without its learnt weights,
    on EfficientNet-Lite0)."""
    identity_weight: float = Field(0.0, ge=0)
    """Weight of 1 - the similarity of two faces (equation 4); needs the user's `ir-se50`. Published: 0.1."""
    delta_weight: float = Field(2e-4, ge=0)
    """Weight of how far each style is from the first (e4e)."""
    progressive: int = Field(0, ge=0)
    """Steps after which each further style may differ from the first one; 0: all from the start (e4e: 2000)."""
    adversary_weight: float = Field(0.0, ge=0)
    """Weight of a discriminator that tells the generator's own latents from the encoder's (e4e: 0.1)."""
    target: Literal["none", "simulated", "given"] = "none"
    """The target domain. simulated: the second half of the pictures, degraded; given: a folder of the user's."""
    degradation: str = "none"
    """What the pictures of a simulated target domain go through, such as rain+mask+down2."""
    damaged: float = Field(0.0, ge=0, le=1)
    """Share of the known samples that go through it before they are read, while their latents stay known: no target
    domain is needed for that, and nothing but the generator."""
    discrepancy_weight: float = Field(1.0, ge=0)
    """Weight of the discrepancy between the domains (equation 7); 0: the encoder never sees the target domain."""
    divergence: Literal["pearson", "kl", "js", "total-variation"] = "pearson"
    """Whose conjugate it takes (Table V)."""
    auxiliary_rate: float = Field(1e-4, gt=0)
    """Learning rate of the auxiliary network h'."""
    fusion_width: int = Field(128, ge=8, le=1024)
    """Channels inside of the consultant's heads (hfgi); published: 512."""
    alignment_weight: float = Field(0.1, ge=0)
    """Weight of the absolute error of the aligned distortion map (hfgi)."""
    distortion: float = Field(0.15, ge=0, le=1)
    """How far the corners of the distortion map move before it is aligned, as a share of half its size (hfgi)."""
    distorted: float = Field(0.9, ge=0, le=1)
    """Share of the steps in which they do (hfgi)."""
    estranged: float = Field(0.5, ge=0, le=1)
    """Share of the generator's samples that are bent and recoloured, so that no latents say them: users' pictures are
    further from what the encoder can say than its own samples are (hfgi; ours)."""
    ema_images: float = Field(4_000, gt=0)
    """Pictures after which half of a weight's running average is forgotten; the average is what is kept."""
    flip: bool = False
    """Mirror half of the user's pictures."""
    seed: int = Field(0, ge=0)
    """Seed of samples, start, order and degradations."""

    @field_validator("degradation")
    @classmethod
    def _known(cls, value: str) -> str:
        parse_degradation(value)
        return value

    @model_validator(mode="after")
    def _something_to_learn(self) -> EncoderConfig:
        if not self.pictures and not self.latent_weight:
            raise ValueError("expected pictures > 0 or latent_weight > 0: nothing else is learnt from")
        if self.adapts and self.pictures < 2:
            raise ValueError("the discrepancy compares rendered pictures; set pictures to at least 2")
        if (self.target == "simulated" or self.damaged > 0) != (self.degradation != "none"):
            raise ValueError(
                "a simulated target domain and damaged samples need a degradation, such as rain+mask+down2; only they"
            )
        if self.fuses and (self.adapts or self.damaged):
            raise ValueError("arch hfgi learns from whole pictures; drop the degradation and the target domain")
        return self

    @property
    def fuses(self) -> bool:
        """Whether a fusion is trained, and no encoder."""
        return self.arch == "hfgi"

    @property
    def adapts(self) -> bool:
        """Whether there is a target domain."""
        return self.target != "none"

    @property
    def size(self) -> int:
        """Rows of the pictures that the encoder reads."""
        return SIDES[self.arch]

    def samples_key(self) -> str:
        """Hash of what decides its known samples, but for their number."""
        decides = (self.generator_sha256 or self.generator, self.size, self.components, self.mixed, self.seed)
        return hashlib.sha256(repr(decides).encode()).hexdigest()[:16]

    def digest(self) -> str:
        """sha256 of the canonical JSON; a run resumes only under the digest it was started with."""
        values: dict[str, Any] = self.model_dump(mode="json")
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
