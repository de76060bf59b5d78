"""Section `selection`: which hypothesis wins."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from mgi.config.base import Section

Rule = Literal["spatial-fd", "sifid", "set-fid", "paper", "critic"]
RULES: tuple[Rule, ...] = get_args(Rule)
"""Names of metrics that can choose among hypotheses: lower is better."""


class Selection(Section):
    """Which hypothesis wins (MGI section 3.2, last paragraph)."""

    rule: Rule = "spatial-fd"
    """Definitions and why the papers' literal rule is not the default: docs/selection.md."""
    critic_file: str = ""
    """A critic that `mgi train critic` made. Empty: the one that ships with the generator."""
    sifid_reference: Literal["warp", "exemplar"] = "warp"
    fidelity_bound: float = Field(1.5, ge=1.0)
    """A hypothesis whose reconstruction error is more than this many times the smallest cannot win."""
    critic_margin: float = Field(0.0, ge=0)
    """Of the faithful hypotheses, one whose critic says a number that is more than this above the smallest cannot win,
    whatever the rule. 0, or where no critic scores: the critic rules nothing out."""
    backbone: Literal["vgg16-imagenet", "vgg19-imagenet", "inception-fid"] = "vgg16-imagenet"
    """Feature network of the distances."""
    layer: str = "relu4_3"
    """Its layer; measured by `python -m benchmarks.selection`."""
    domain: str = "generator"
    """What hypotheses are compared with: 'generator' (samples of the generator) or a folder of real images."""
    domain_samples: int = Field(512, ge=16)
    """How many generated samples or images the domain statistics use."""
