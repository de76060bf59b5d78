"""From stored latents back to images: the final one, a small one, and one moved along a direction."""

from __future__ import annotations

import numpy as np
import torch

from mgi.config import ConfigError
from mgi.degradations import with_luminance
from mgi.directions import Direction, LatentSpace, require_fit
from mgi.generators import is_styled
from mgi.images import to_float, to_uint8
from mgi.inversion.latents import Latents, unpack
from mgi.pairs import Hypothesis
from mgi.translators.base import Arrays
from mgi.translators.inversion.engine import Engine


@torch.no_grad()
def render(
    engine: Engine, arrays: Arrays, hypothesis: Hypothesis, factor: int | None = None, seen: np.ndarray | None = None
) -> np.ndarray:
    """g = y_n* (MGI section 3.2): a lane's image, warp.image_size x factor (default: config.upsampling), uint8 [R,R,3].

    Args:
        seen: the picture that was inverted, uint8 [S,S,3]; its luminance is kept if `inversion.merge` says so.
    """
    latents = _latents(engine, arrays, hypothesis)
    image = engine.space.images([latents], hypothesis.composing_layer, scale_down(engine, factor))
    if seen is not None and engine.config.inversion.merge == "luminance":
        image = with_luminance(image, to_float(seen, engine.device))
    return to_uint8(image)[0]


@torch.no_grad()
def preview(engine: Engine, arrays: Arrays, hypothesis: Hypothesis) -> np.ndarray:
    """The image at the warp's size, or at the generator's if that is smaller, uint8 [S,S,3]."""
    return to_uint8(engine.image(_latents(engine, arrays, hypothesis), hypothesis.composing_layer))[0]


@torch.no_grad()
def edit(
    engine: Engine,
    arrays: Arrays,
    hypothesis: Hypothesis,
    direction: Direction,
    amount: float,
    factor: int | None = None,
) -> np.ndarray:
    """A lane moved by `amount` x direction, then as `render`; an amount of 0 gives the lane itself, bit for bit.

    Raises:
        ConfigError: the direction does not fit the generator or the space of the lane.
    """
    generator = engine.generator
    styles = generator.styles if is_styled(generator) else 1
    require_fit(direction, generator.z_dim, styles, _edit_space(engine))
    latents = _latents(engine, arrays, hypothesis)
    if amount:
        latents = engine.space.edited(latents, torch.from_numpy(direction.vector).to(engine.device), amount)
    return to_uint8(engine.space.images([latents], hypothesis.composing_layer, scale_down(engine, factor)))[0]


def scale_down(engine: Engine, factor: int | None = None) -> int:
    """The factor by which the generator's image is scaled down to warp.image_size x factor."""
    size = engine.config.warp.image_size * (factor or engine.config.upsampling)
    return max(1, engine.generator.resolution // size)


def _edit_space(engine: Engine) -> LatentSpace:
    """The space that lanes are moved in: w, or z if the codes are kept in z or the generator has no styles."""
    space = engine.config.inversion.space
    if not is_styled(engine.generator) or space == "z":
        return "z"
    if space == "multi-z":
        raise ConfigError("codes in z under a tail of styles share no direction; invert with inversion.space=multi")
    return "w"


def _latents(engine: Engine, arrays: Arrays, hypothesis: Hypothesis) -> Latents:
    packed = torch.from_numpy(np.array(arrays["latents"], dtype=np.float32)).to(engine.device)
    return unpack(packed, engine.space.shapes(hypothesis))
