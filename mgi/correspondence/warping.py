"""The warp that a configuration asks for, and the record of how it was made.

What is matched: a network as it is or fine-tuned on the pair (OEFT), the generator's own features, or both. How: along
rows of M (equation 6), or in both directions at once, which also says how far each match can be trusted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.config import ConfigError, RunConfig, Warp
from mgi.correspondence.dense import Match, match, shifted_cells
from mgi.correspondence.matching import (
    blend_cells,
    check_pictures,
    normalise,
    overlapping_cells,
    plain_units,
    unit_features,
    warp_by,
)
from mgi.correspondence.oeft import fine_tuned_warp
from mgi.correspondence.refine import allowed_by_coarse, refined_places
from mgi.features import Backbone, Chain
from mgi.features.descriptor import LAYER, Descriptor
from mgi.images import resize


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
    descriptor: Backbone | None = None,
) -> PairWarp:
    """Warp one pair, both [1, 3, S, S] in [-1, 1], as `config.warp` says.

    Args:
        seed: for everything random in the fine-tuning; nothing is random in the plain warp.
        style: the network that `config.oeft.style_backbone` names, if it names one.
        descriptor: reads the generator's features, where `config.warp.descriptor` asks for them.

    Raises:
        ValueError: pictures of another size than the configuration's. ConfigError: OEFT of a network that cannot be
            fine-tuned.
    """
    warp = config.warp
    check_pictures(source, exemplar, warp)
    info: dict[str, float | str] = {"warp_method": "plain"}
    arrays: dict[str, np.ndarray] = {}
    own: list[Tensor] = []
    if warp.method == "oeft":
        if not isinstance(backbone, Chain):
            raise ConfigError(
                f"warp.method = oeft fine-tunes a VGG or a ResNet, found {backbone.name}; use another warp.backbone"
            )
        found = fine_tuned_warp(source, exemplar, backbone, warp, config.oeft, [seed], progress, style)
        info = {"warp_method": found.how[0], "oeft_seconds": found.seconds}
        arrays["oeft_loss"] = found.losses[0].numpy()
        if not warp.judged and warp.descriptor == "vgg":
            return PairWarp(found.warp, info, arrays)
        units: list[Tensor] = list(found.units)
    elif warp.descriptor == "generator":
        units = []
    elif isinstance(descriptor, Descriptor) and descriptor.reads(backbone, source) and warp.descriptor != "vgg":
        with torch.no_grad():  # one pass of the network serves both
            units, own = _shared([source, exemplar], descriptor, warp)
    else:
        units = [plain_units(images, backbone, warp) for images in (source, exemplar)]
    with torch.no_grad():
        source_unit, target_unit = _described(units, own, [source, exemplar], warp, descriptor)
        if not warp.judged:
            return PairWarp(warp_by(source_unit, target_unit, exemplar, warp), info, arrays)
        how = (warp.temperature, warp.patch, True, warp.position_weight, warp.window)
        coarse = warp.coarse_rows
        allowed = allowed_by_coarse(source_unit, target_unit, coarse, warp.temperature) if coarse else None
        judged = match(source_unit, target_unit, *how, allowed)
        info["matched_share"] = float(judged.matched_share[0])
        arrays["confidence"] = (judged.confidence[0, 0] * 255).round().byte().cpu().numpy()
        return PairWarp(_coloured(judged, source, exemplar, backbone, warp), info, arrays)


def _fine(image: Tensor, backbone: Backbone, config: Warp) -> Tensor:
    """The first layer of the configuration, the finest one: [1, C, R, R]."""
    layer = config.layers[0]
    return normalise(resize(backbone(image, [layer])[layer], config.refine_rows))


def _shared(images: list[Tensor], descriptor: Descriptor, config: Warp) -> tuple[list[Tensor], list[Tensor]]:
    """What is matched of the network, and what the descriptor says, of pictures as the descriptor reads them."""
    layers = list(dict.fromkeys([*config.layers, *descriptor.facts.layers]))
    pyramids = [descriptor.backbone(image, layers) for image in images]
    units = [unit_features([p[layer] for layer in config.layers], config.feature_size, config) for p in pyramids]
    return units, [descriptor.read(pyramid) for pyramid in pyramids]


def _described(
    units: list[Tensor], said: list[Tensor], images: list[Tensor], config: Warp, descriptor: Backbone | None
) -> tuple[Tensor, Tensor]:
    """What is matched, with the generator's features where they are asked for; `said`: those that are read already."""
    if config.descriptor == "vgg" or (config.descriptor == "auto" and descriptor is None):
        return units[0], units[1]
    if descriptor is None:
        raise ConfigError(f"warp.descriptor = {config.descriptor} needs a descriptor, found none; pass it")
    size = config.feature_size
    said = said or [descriptor(image, descriptor.layers)[LAYER] for image in images]
    own = [normalise(resize(features, size)) for features in said]
    if config.descriptor == "generator":
        return own[0], own[1]
    share = config.descriptor_share  # products of the joined features are weighted means of both products
    joined = [
        torch.cat([unit * (1 - share) ** 0.5, described * share**0.5], dim=1)
        for unit, described in zip(units, own, strict=True)
    ]
    return F.normalize(joined[0], dim=1), F.normalize(joined[1], dim=1)


def _coloured(judged: Match, source: Tensor, exemplar: Tensor, backbone: Backbone, config: Warp) -> Tensor:
    size, image_size = config.feature_size, exemplar.shape[-1]
    if config.colours == "pooled":
        return resize(judged.colours(resize(exemplar, size, "area")), image_size)
    if config.colours == "shifted":
        places = judged.places(torch.Size((size, size)))
        if config.refine_rows:
            fine = [_fine(image, backbone, config) for image in (source, exemplar)]
            places = refined_places(fine[0], fine[1], places, config.temperature)
        return blend_cells(shifted_cells(exemplar, places, places.shape[-1]), image_size)
    return blend_cells(judged.colours(overlapping_cells(exemplar, size)), image_size)
