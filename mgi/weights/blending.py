"""Layer swapping (Pinkney and Adler 2020): coarse layers of one generator, fine layers of its adaptation.

Both map a code to the same w, because adapting keeps the mapping, so the layers fit each other: shapes come from the
first, strokes and colours from the second.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from mgi.generators import GeneratorError
from mgi.generators.layouts.rosinality import as_rosinality
from mgi.generators.layouts.table import LAYOUTS, Layout
from mgi.generators.loading import checkpoint_tensors
from mgi.generators.stylegan2 import StyleGAN2
from mgi.weights.canonical import write_safetensors
from mgi.weights.identity import generator_sha256

_MEAN = "latent_avg"
"""The mean w, which not every file of rosinality's has; of one mapping it is one and the same."""
_IMAGE = 2**30  # rows of what makes the finished image: always the second's


def blend(first: Path, second: Path, rows: int, target: Path) -> tuple[str, int]:
    """Write a generator with the layers of up to so many rows of `first` and all others of `second`.

    The file is a generator of `second`'s size with `first`'s mapping, in half precision.

    Args:
        first: checkpoint of one generator.
        second: of another, of the same kind and widths; one may be larger than the other.
        rows: rows of the features of the last layers that come from `first`.
        target: the file to write.

    Returns:
        (layout, resolution).

    Raises:
        GeneratorError: they do not fit each other, or have no layer at `rows`.
        OSError: `target` cannot be written; nothing is left under its name then.
    """
    (layout, coarse), (other, fine) = _swappable(first), _swappable(second)
    if layout.name != other.name:
        raise GeneratorError(
            f"{first.name} is a {layout.name}, {second.name} a {other.name}; expected a generator and its adaptation"
        )
    try:
        rows_of = _ROWS[layout.name]
    except KeyError:
        raise GeneratorError(
            f"{first.name} is a {layout.name}; layers can be swapped in MobileStyleGAN, StyleGAN2"
        ) from None
    sizes = {name: rows_of(name) for name in fine}
    there = sorted(set(sizes.values()) - {0})[:-1]  # up to the last one, nothing would be left of the second
    if rows not in there:
        raise GeneratorError(f"--at {rows}: {second.name} can be swapped at {', '.join(map(str, there))} rows")
    blended = dict(fine)
    for name in [name for name, size in sizes.items() if size <= rows and (name in coarse or name != _MEAN)]:
        if name not in coarse or coarse[name].shape != fine[name].shape:
            found = list(coarse[name].shape) if name in coarse else "nothing"
            raise GeneratorError(
                f"{name} is {found} in {first.name} and {list(fine[name].shape)} in {second.name}; "
                "expected a generator and its adaptation"
            )
        blended[name] = coarse[name]
    resolution = layout.read(blended, target.name).resolution  # write nothing that cannot be used
    card = {
        "layout": layout.name,
        "blend": f"up to {rows} rows of {first.name}, the rest of {second.name}",
        "coarse_sha256": generator_sha256(str(first)),
        "fine_sha256": generator_sha256(str(second)),
        "licence": "the licences of both generators hold",
    }
    arrays = {name: tensor.detach().to(torch.float16).contiguous().numpy() for name, tensor in blended.items()}
    write_safetensors(target, arrays, card)
    return layout.name, resolution


def _swappable(path: Path) -> tuple[Layout, dict[str, Tensor]]:
    """Layout and tensors of a checkpoint; of any StyleGAN2 those of rosinality, which adaptations have."""
    layout, tensors = checkpoint_tensors(path)
    if layout.name in _ROWS:
        return layout, tensors
    if layout.name.startswith("StyleGAN2 "):
        generator = layout.read(tensors, path.name)
        if isinstance(generator, StyleGAN2):
            return next(known for known in LAYOUTS if known.name == _ROSINALITY), as_rosinality(generator)
    return layout, tensors


def _mobile_rows(name: str) -> int:
    """Rows of the features that a tensor of a MobileStyleGAN makes; 0 for the mapping."""
    if name.startswith("mapping."):
        return 0
    if found := re.match(r"synthesis\.blocks\.(\d+)\.", name):
        return 8 << int(found[1])
    return _IMAGE if name.startswith("synthesis.to_image") else 4


def _rosinality_rows(name: str) -> int:
    """The same of rosinality's StyleGAN2; each size has an image head of its own, which goes with it."""
    if found := re.match(r"convs\.(\d+)\.", name):
        return 8 << int(found[1]) // 2
    if found := re.match(r"noises\.noise_(\d+)$", name):
        return 4 << (int(found[1]) + 1) // 2
    if found := re.match(r"to_rgbs\.(\d+)\.", name):
        return 8 << int(found[1])
    return 4 if re.match(r"input\.|conv1\.|to_rgb1\.", name) else 0


_ROSINALITY = "StyleGAN2 of rosinality"
_ROWS: dict[str, Callable[[str], int]] = {"MobileStyleGAN": _mobile_rows, _ROSINALITY: _rosinality_rows}
