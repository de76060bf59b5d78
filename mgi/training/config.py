"""Everything that decides what a training run computes."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from mgi.config.base import Section
from mgi.training.augment import OPERATIONS

ObjectiveName = Literal["minimax", "non-saturating", "least-squares", "wgan", "wgan-gp", "hinge"]
Frozen = Literal["mapping", "input", "stem", "depthwise", "styles", "pointwise"]
ADAPTING: dict[str, Any] = {
    "discriminator": "patches",
    "reconstruction": 0.0,
    "projected_size": 128,
    "z_dim": 512,
    "head_start": 480,
    "blur_images": 4000.0,
    "noise": 0.1,
    "spectrum": 4.0,
    "structure": 3.0,
    "deviation": False,
}
"""What is different if a parent is adapted: no encoder, whose codes would not be the parent's, and a discriminator that
learns first, sees detail last, judges patches and does not count how much a batch varies; hatchings show in the
spectrum, and faces keep the parent's structure."""
_ADDED = (
    "consistency",
    "deviation",
    "spectrum",
    "structure",
    "head_start",
    "blur_images",
    "noise",
    "parent",
    "parent_sha256",
    "freeze",
    "freeze_below",
    "generator_rate",
    "style_rate",
    "mapping_rate",
)


class TrainingConfig(Section):
    """Settings of `mgi train generator`; docs/training.md has measurements behind the defaults."""

    resolution: Literal[32, 64, 128, 256] = 64
    """Rows and columns of the images that the generator makes."""
    z_dim: int = Field(128, ge=8, le=512)
    """Dimensions of the latent code."""
    base_channels: int = Field(256, ge=16, le=512)
    """Channels up to 8 x 8; halved with every doubling after that."""
    objective: ObjectiveName = "hinge"
    """Adversarial objective."""
    discriminator: Literal["residual", "projected", "patches"] = "projected"
    """residual: trained from scratch; projected: heads on the features of a frozen pretrained network; patches: such
    heads that see patches only, for a parent whose layout is to be kept."""
    projected_size: int = Field(64, ge=32)
    """Rows that images are enlarged to before the pretrained network: a multiple of 32 (projected) or 16 (patches)."""
    head_rate: float = Field(0.1, gt=0)
    """Learning rate of the heads on pretrained features, as a multiple of learning_rate (projected and patches)."""
    spectral: bool = False
    """Spectral normalisation in the residual discriminator; the others always have it."""
    deviation: bool = True
    """Whether the discriminator sees how much the pictures of a batch differ (Karras et al. 2018, section 3). Aligned
    faces of a parent differ less than other pictures do; dark blots on them make up for it, most of all while the
    mapping is frozen."""
    batch: int = Field(16, ge=2)
    """Images per step, over all processes."""
    learning_rate: float = Field(2e-3, gt=0)
    """Of both networks; equalised learning rates need about ten times the rate of other GANs."""
    beta2: float = Field(0.99, ge=0, lt=1)
    """Decay of Adam's second moment; the first one's is 0."""
    reconstruction: float = Field(5.0, ge=0)
    """Weight of the reconstruction term: an encoder is trained as well, and the generator must reproduce real images
    from its codes. Short trainings gain most from it."""
    critic_steps: int = Field(1, ge=1)
    """Discriminator steps per generator step; the WGAN papers take 5."""
    r1: float = Field(0.0, ge=0)
    """gamma of the R1 penalty, which is gamma / 2 x E |grad D|^2; a residual discriminator needs about 0.5."""
    r1_every: int = Field(16, ge=1)
    """Steps between two R1 penalties; each penalty then counts this many times (lazy regularisation)."""
    augment: tuple[str, ...] = ("brightness", "saturation", "contrast", "translation")
    """Differentiable augmentations, from brightness, saturation, contrast, translation and cutout."""
    flip: bool = True
    """Mirror half of the real images."""
    ema_images: float = Field(10_000, gt=0)
    """Images after which half of a weight's running average is forgotten; fewer early on (a twentieth of the images
    seen)."""
    head_start: int = Field(0, ge=0)
    """Images that only the discriminator learns from, before the generator moves: for a parent that already makes such
    pictures, which a new discriminator would spoil."""
    blur_images: float = Field(0.0, ge=0)
    """Images over which the discriminator's sight sharpens: at first it sees real and generated images blurred by 2
    pixels. Keeps it from winning on fine detail that the generator does not have yet."""
    noise: float = Field(0.0, ge=0)
    """Standard deviation of noise on all that the discriminator sees (range -1 to 1; Arjovsky and Bottou 2017). A
    generator that has no noise of its own draws a net or hatching for the grain of paper; under noise nobody asks for
    grain."""
    spectrum: float = Field(0.0, ge=0)
    """Weight of what the mean power spectrum of generated images has above that of real ones: keeps an adapted
    generator from a hatching that its discriminator overlooks."""
    structure: float = Field(0.0, ge=0)
    """Weight of the distance of luma's local structure from what the parent makes of the same codes: eyes, mouths and
    outlines stay where they are while colours and strokes change."""
    consistency: float = Field(0.0, ge=0)
    """Weight of the samples' similarities to each other staying as they are in the parent (Ojha et al. 2021): for a few
    hundred pictures. Their weight is 1000."""
    parent: str = ""
    """Generator that is adapted, a zoo name or a checkpoint (`--from`); empty: training starts from scratch."""
    parent_sha256: str = ""
    """Hash of the parent's weights, which decides the start like every other setting; filled in by the command."""
    freeze: tuple[Frozen, ...] = ("mapping", "input", "depthwise")
    """Parts of the parent that are kept, from mapping, input, stem, depthwise, styles, pointwise."""
    freeze_below: int = Field(0, ge=0)
    """Also keep all layers of the parent at fewer rows than this; 0: none."""
    generator_rate: float = Field(2e-3, gt=0)
    """Learning rate of an adapted generator, as a multiple of each tensor's root mean square in the parent."""
    style_rate: float = Field(1.0, gt=0)
    """Learning rate of the layers that read w, as a multiple of generator_rate."""
    mapping_rate: float = Field(0.1, gt=0)
    """Learning rate of the mapping, where `freeze` does not name it, as a multiple of generator_rate."""
    seed: int = Field(0, ge=0)
    """Seed of the start, the order, augmentation and codes."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of both networks; bf16 pays only if the processor computes it natively."""

    @field_validator("augment", "freeze", mode="before")
    @classmethod
    def _listed(cls, names: Any) -> Any:
        """`a,b`, as one types it, is ["a", "b"]."""
        return [name.strip() for name in names.split(",") if name.strip()] if isinstance(names, str) else names

    @field_validator("augment")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in OPERATIONS:
                raise ValueError(f"unknown augmentation {name!r}; use {', '.join(OPERATIONS)}")
        return names

    @model_validator(mode="after")
    def _halved(self) -> TrainingConfig:
        unit = {"projected": 32, "patches": 16}.get(self.discriminator, 1)
        if self.projected_size % unit:  # scales are mixed, each twice as large as the next
            raise ValueError(
                f"projected_size: a discriminator {self.discriminator} halves it down to {unit} rows per position; "
                f"expected a multiple of {unit}, found {self.projected_size}"
            )
        return self

    @classmethod
    def adapting(cls, parent: str, sha256: str, **values: Any) -> TrainingConfig:
        """Settings to adapt a parent; what differs from a training from scratch unless it is given.

        Raises:
            pydantic.ValidationError: values that are no settings.
        """
        return cls.model_validate({**ADAPTING, "parent": parent, "parent_sha256": sha256, **values})

    def digest(self) -> str:
        """sha256 of the canonical JSON; a run resumes only under the digest it was started with.

        Settings that were added later and have their default do not count: older digests stay as they are.
        """
        added = {name for name in _ADDED if getattr(self, name) == type(self).model_fields[name].default}
        values = self.model_dump(mode="json", exclude=added)
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
