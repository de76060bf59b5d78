"""One frozen model that describes a run completely.

The digest of this model names a run, so it holds what changes results and nothing else: worker counts, progress and
folders are arguments of the command, not configuration, and so are the metrics that results are judged by.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import ConfigDict, Field

from mgi.config.base import Section
from mgi.config.inversion import Inversion
from mgi.config.selection import Selection
from mgi.config.warp import Align, Oeft, Warp
from mgi.pairs import Hypothesis

INVERSION = "inversion"
"""`translator` of the methods whose settings are the section `inversion`."""


LATER: dict[str, Any] = {
    "translator": INVERSION,
    "options": {},
    "align.faces": "largest",
    "selection.critic_file": "",
    "warp.descriptor": "vgg",
    "warp.descriptor_file": "",
    "warp.descriptor_samples": 0,
    "warp.descriptor_share": 0.75,
    "warp.matching": "rows",
    "warp.position_weight": 0.0,
    "warp.window": 0,
    "warp.coarse_rows": 0,
    "warp.refine_rows": 0,
    "inversion.confidence_weight": 0.0,
    "inversion.tail_start": "mean",
    "inversion.tail_spread": 0.7,
    "inversion.fused_spread": 0.0,
    "inversion.detail_weight": 0.0,
    "inversion.detail_share": 0.8,
    "inversion.target_detail": 0.0,
    "inversion.pair_start": "none",
    "inversion.mix_rows": 32,
    "inversion.fallback": False,
    "inversion.encoder_file": "",
    "selection.critic_margin": 0.0,
}
"""Fields that came after 0.1.0, with their defaults."""


class Options(Section):
    """Section `options`: settings of a translator of another package, which checks them itself."""

    model_config = ConfigDict(extra="allow")


class RunConfig(Section):
    """Everything that decides the pixels of a run."""

    profile: str = "custom"
    """Name of the profile this configuration came from."""
    task: Literal["translate", "invert"] = "translate"
    """translate: sources by exemplars; invert: each picture as it is (`mgi invert`)."""
    translator: str = INVERSION
    """inversion: the methods whose settings are the section `inversion`; else one of the others of `mgi methods`."""
    generator: str = "mobile-stylegan-ffhq"
    """Zoo name or path of a generator checkpoint. run.json keeps the path whole and the hash of the file, which may not
    be replaced under a run."""
    upsampling: int = Field(4, ge=1, le=64)
    """Factor between the warp and the result; the result has warp.image_size x upsampling rows, or the generator's
    resolution if that is smaller."""
    align: Align = Align()
    warp: Warp = Warp()
    oeft: Oeft = Oeft()
    inversion: Inversion = Inversion()
    selection: Selection = Selection()
    options: Options = Options()

    @property
    def method(self) -> str:
        """The name that `--method` takes."""
        return self.inversion.method if self.searches else self.translator

    @property
    def searches(self) -> bool:
        """Whether the method tries hypotheses and chooses among them; the others make an image in one go."""
        return self.translator == INVERSION

    @property
    def degrades(self) -> bool:
        """Whether pictures come whole and are degraded first, so results can be compared with the whole ones."""
        s = self.inversion
        return self.task == "invert" and s.degradation != "none" and s.observed == "simulated"

    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """The hypotheses that the method tries on every pair, in the order of the report; empty if it tries none."""
        return self.inversion.all_hypotheses() if self.searches else ()

    def warp_arrays(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """What the stage warp keeps of a pair besides pictures: {name: (shape, dtype)}."""
        arrays: dict[str, tuple[tuple[int, ...], str]] = {}
        if self.warp.judged:
            arrays["confidence"] = ((self.warp.feature_size, self.warp.feature_size), "uint8")
        if self.warp.method == "oeft":
            arrays["oeft_loss"] = ((self.oeft.iterations, len(self.oeft.terms())), "float32")
        return arrays

    def digest(self) -> str:
        """sha256 of the canonical JSON of this configuration.

        A field that was added later counts only if it is not at its default. So what was asked for before keeps its
        digest, and pictures that carry the digest keep their bytes.
        """
        data = self.model_dump(mode="json")
        for name, default in LATER.items():
            *sections, key = name.split(".")
            section = data
            for part in sections:
                section = section[part]
            if section[key] == default:
                del section[key]
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
