"""The warp that a configuration asks for, plain or fine-tuned, and the record of how it was made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from mgi.config import ConfigError, RunConfig
from mgi.correspondence.matching import warp_exemplar
from mgi.correspondence.oeft import fine_tuned_warp
from mgi.features import Backbone, Chain


@dataclass(frozen=True)
class PairWarp:
    """A warp [1, 3, S, S] in [-1, 1], its row in the tables, and the arrays that `RunConfig.warp_arrays` announces."""

    warp: Tensor
    info: dict[str, float | str]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def warp_pair(
    source: Tensor,
    exemplar: Tensor,
    backbone: Backbone,
    config: RunConfig,
    seed: int,
    progress: Callable[[int, int, float], None] | None = None,
    style: Backbone | None = None,
) -> PairWarp:
    """Warp one pair, both [1, 3, S, S] in [-1, 1], as `config.warp.method` says.

    Args:
        seed: for everything random in the fine-tuning; nothing is random in the plain warp.
        style: the network that `config.oeft.style_backbone` names, if it names one.

    Raises:
        ValueError: pictures of another size than the configuration's. ConfigError: OEFT of a network that cannot be
            fine-tuned.
    """
    if config.warp.method == "plain":
        return PairWarp(warp_exemplar(source, exemplar, backbone, config.warp), {"warp_method": "plain"})
    if not isinstance(backbone, Chain):
        raise ConfigError(
            f"warp.method = oeft fine-tunes a VGG or a ResNet, found {backbone.name}; use another warp.backbone"
        )
    found = fine_tuned_warp(source, exemplar, backbone, config.warp, config.oeft, [seed], progress, style)
    info: dict[str, float | str] = {"warp_method": found.how[0], "oeft_seconds": found.seconds}
    return PairWarp(found.warp, info, {"oeft_loss": found.losses[0].numpy()})
