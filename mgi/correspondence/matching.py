"""Dense correspondence and the warp of the exemplar (MGI section 3.1, OEFT section 3.2, equations 1-6).

Shapes: B pairs, C feature channels, H x W positions, N = H W of them, K colour channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.config import Warp
from mgi.features import Backbone
from mgi.images import resize

Centre = Literal["positions", "channels"]
Normalise = Literal["layers", "concatenated"]

_EPSILON = 1e-12
_CHUNK = 1024
"""Source positions matched at once; limits memory when no fused attention kernel applies."""


def normalise(features: Tensor, centre: Centre = "positions") -> Tensor:
    """Centred features of unit length at every position: the two factors of equation 3.

    Args:
        features: [B, C, H, W].
        centre: `positions` subtracts each channel's mean over all positions (equations 4-5); `channels` subtracts each
            position's mean over its channels, as CoCosNet's released code does.

    Returns:
        [B, C, H, W]; a position whose centred feature is zero stays zero.
    """
    mean = features.mean(dim=(2, 3) if centre == "positions" else 1, keepdim=True)
    return F.normalize(features - mean, dim=1, eps=_EPSILON)


def concatenated(pyramid: Sequence[Tensor], size: int) -> Tensor:
    """f of equations 1-2 from several layers (OEFT figure 3): [B, C_i, h_i, w_i] each -> [B, sum C_i, size, size]."""
    return torch.cat([resize(features, size) for features in pyramid], dim=1)


def hierarchical_features(
    pyramid: Sequence[Tensor], size: int, centre: Centre = "positions", by: Normalise = "layers"
) -> Tensor:
    """Several layers as one feature per position (f of equations 1-2; OEFT figure 3), ready for `soft_warp`.

    Args:
        pyramid: features [B, C_i, h_i, w_i].
        size: rows and columns to match at.
        by: `concatenated` centres and normalises the whole feature, as equations 3-5 are written: layers weigh by their
            variance, and in VGG one is orders of magnitude above the others. `layers` does this to each layer first, so
            M(u, v) of the result is the mean of the layers' M(u, v).

    Returns:
        [B, sum C_i, size, size], of unit length at every position.
    """
    if by == "concatenated":
        return normalise(concatenated(pyramid, size), centre)
    parts = [normalise(resize(features, size), centre) for features in pyramid]
    return F.normalize(torch.cat(parts, dim=1), dim=1, eps=_EPSILON)


def unit_features(pyramid: Sequence[Tensor], size: int, config: Warp) -> Tensor:
    """`hierarchical_features` with the settings of a configuration."""
    return hierarchical_features(pyramid, size, config.centre, config.normalise)


def correlation(source_features: Tensor, target_features: Tensor, centre: Centre = "positions") -> Tensor:
    """M(u, v) of equation 3, stored: [B, C, H, W] twice -> [B, N_S, N_T] in [-1, 1]. For reference and inspection."""
    source = normalise(source_features, centre).flatten(2)
    target = normalise(target_features, centre).flatten(2)
    return source.transpose(1, 2) @ target


def soft_warp_reference(
    source_unit: Tensor, target_unit: Tensor, colours: Tensor, temperature: float, patch: int = 1
) -> Tensor:
    """Equation 6 as written, storing the N_S x N_T matrix; same arguments and result as `soft_warp`."""
    source, target = (neighbourhoods(unit, patch).flatten(2) for unit in (source_unit, target_unit))
    matrix = source.transpose(1, 2) @ target
    weights = torch.softmax(temperature * matrix, dim=-1)
    warped = weights @ colours.flatten(2).transpose(1, 2)
    return warped.transpose(1, 2).unflatten(2, source_unit.shape[-2:])


def soft_warp(source_unit: Tensor, target_unit: Tensor, colours: Tensor, temperature: float, patch: int = 1) -> Tensor:
    """r(u) = sum_v softmax_v(alpha M(u, v)) x_T(v) (equation 6); the matrix is never stored whole.

    Args:
        source_unit: [B, C, H_S, W_S]: centred, unit length (`normalise` or `hierarchical_features`).
        target_unit: [B, C, H_T, W_T], likewise.
        colours: [B, K, H_T, W_T] of the exemplar, any range.
        temperature: alpha.
        patch: 3 replaces M(u, v) by its mean over the nine offsets of a 3 x 3 neighbourhood, M(u + d, v + d): what
            matching patches instead of positions means, with every position of a patch weighing the same.

    Returns:
        [B, K, H_S, W_S], each position a convex combination of `colours`.
    """
    if patch > 1:
        return _soft_warp_patches(source_unit, target_unit, colours, temperature, patch)
    count = colours.shape[1]
    # Fused kernels want channels in multiples of eight; next to the product of the features, padding costs nothing.
    query, key, value = (
        F.pad(x.flatten(2).transpose(1, 2), (0, -x.shape[1] % 8)).unsqueeze(1)
        for x in (source_unit, target_unit, colours)
    )
    parts = [F.scaled_dot_product_attention(chunk, key, value, scale=temperature) for chunk in query.split(_CHUNK, 2)]
    warped = torch.cat(parts, dim=2).squeeze(1)[..., :count]
    return warped.transpose(1, 2).unflatten(2, source_unit.shape[-2:])


def _soft_warp_patches(
    source_unit: Tensor, target_unit: Tensor, colours: Tensor, temperature: float, patch: int
) -> Tensor:
    """Attention over neighbourhoods without building them: patch^2 times fewer products and bytes than unfolding.

    A mean over M(u + d, v + d) is a box filter along the diagonals of M, separable into rows and columns; it is done
    for some rows of the source at a time.
    """
    margin = patch // 2
    source, target = (F.pad(unit, [margin] * 4, mode="replicate") for unit in (source_unit, target_unit))
    (height, width), (rows_t, columns_t) = source_unit.shape[-2:], target_unit.shape[-2:]
    value = colours.flatten(2).transpose(1, 2)
    step = max(1, _CHUNK // width)
    parts = []
    for top in range(0, height, step):
        rows = min(step, height - top)
        strip = source[:, :, top : top + rows + 2 * margin]
        matrix = strip.flatten(2).transpose(1, 2) @ target.flatten(2)
        matrix = matrix.unflatten(2, target.shape[-2:]).unflatten(
            1, strip.shape[-2:]
        )  # [B, row, column, row_t, column_t]
        matrix = sum(matrix[:, d : d + rows, :, d : d + rows_t] for d in range(patch))
        matrix = sum(matrix[:, :, d : d + width, :, d : d + columns_t] for d in range(patch))
        weights = torch.softmax(matrix.flatten(3).flatten(1, 2) * (temperature / patch**2), dim=-1)
        parts.append(weights @ value)
    return torch.cat(parts, dim=1).transpose(1, 2).unflatten(2, (height, width))


def neighbourhoods(unit: Tensor, patch: int) -> Tensor:
    """[B, C, H, W] -> [B, patch^2 C, H, W] whose products are means of products over a neighbourhood."""
    if patch == 1:
        return unit
    padded = F.pad(unit, [patch // 2] * 4, mode="replicate")
    return F.unfold(padded, patch).unflatten(2, unit.shape[-2:]) / patch


def warp_exemplar(source: Tensor, exemplar: Tensor, backbone: Backbone, config: Warp) -> Tensor:
    """Equations 1-6: the exemplar's colours in the source's structure.

    Args:
        source, exemplar: [B, 3, S, S] in [-1, 1], S = config.image_size.
        backbone: the feature network of both; the papers' W_S and W_T start equal and MGI never trains them.
        config: layers, feature size, temperature, normalisation, patch and colours.

    Returns:
        The warp, [B, 3, S, S] in [-1, 1].

    Raises:
        ValueError: pictures of another size, or colours "full" with a feature size that does not divide S.
    """
    check_pictures(source, exemplar, config)
    with torch.no_grad():
        source_unit, target_unit = (plain_units(images, backbone, config) for images in (source, exemplar))
        return warp_by(source_unit, target_unit, exemplar, config)


@torch.no_grad()
def plain_units(images: Tensor, backbone: Backbone, config: Warp) -> Tensor:
    """What is matched of pictures [B, 3, S, S] by the network as it is: [B, C, size, size]."""
    return unit_features(list(backbone(images, config.layers).values()), config.feature_size, config)


def check_pictures(source: Tensor, exemplar: Tensor, config: Warp) -> None:
    """Raise ValueError, which says what to change, if `warp_exemplar` cannot take these pictures."""
    size, image_size = config.feature_size, config.image_size
    for name, images in (("source", source), ("exemplar", exemplar)):
        if images.shape[-2:] != (image_size, image_size):
            found = "x".join(map(str, images.shape[-2:]))
            raise ValueError(f"{name} must be {image_size}x{image_size} (warp.image_size), found {found}; resize it")
    if config.colours != "pooled" and image_size % size:
        raise ValueError(
            f"warp.colours = {config.colours} needs a warp.feature_size that divides warp.image_size, found "
            f"{size} and {image_size}; change one of them or use colours = pooled"
        )


def warp_by(source_unit: Tensor, target_unit: Tensor, exemplar: Tensor, config: Warp) -> Tensor:
    """The warp from given features: equation 6 with the colours that `config` asks for.

    Args:
        source_unit, target_unit: [B, C, size, size] as `hierarchical_features` makes them.
        exemplar: [B, 3, S, S]; S and `size` need not be the configuration's.

    Returns:
        The warp, [B, 3, S, S]. Gradients reach the features.
    """
    size, image_size = target_unit.shape[-1], exemplar.shape[-1]
    if config.colours == "pooled":
        colours = resize(exemplar, size, "area")
        return resize(soft_warp(source_unit, target_unit, colours, config.temperature, config.patch), image_size)
    cells = overlapping_cells(exemplar, size)
    return blend_cells(soft_warp(source_unit, target_unit, cells, config.temperature, config.patch), image_size)


def overlapping_cells(images: Tensor, size: int) -> Tensor:
    """The pixels of every cell of a size x size grid, plus half a cell around it, as channels of that cell.

    Warping cells that overlap and blending them (`blend_cells`) keeps the detail inside cells. Cells side by side would
    show seams where neighbours come from different places of the exemplar.

    Args:
        images: [B, 3, S, S], S a multiple of `size`.

    Returns:
        [B, 3 k^2, size, size] with k = cell + 2 (cell // 2), cell = S / size.
    """
    cell = images.shape[-1] // size
    margin = cell // 2
    padded = F.pad(images, [margin] * 4, mode="replicate")
    return F.unfold(padded, cell + 2 * margin, stride=cell).unflatten(2, (size, size))


def blend_cells(cells: Tensor, image_size: int) -> Tensor:
    """The inverse of `overlapping_cells`; blends linearly where cells overlap: -> [B, 3, image_size, image_size]."""
    cell = image_size // cells.shape[-1]
    margin = cell // 2
    width = cell + 2 * margin
    ramp = 1 - (torch.arange(width, device=cells.device, dtype=cells.dtype) - (width - 1) / 2).abs() / (width / 2)
    window = (ramp[:, None] * ramp[None, :]).repeat(3, 1, 1).flatten()[None, :, None]

    def overlay(columns: Tensor) -> Tensor:
        return F.fold(columns, image_size + 2 * margin, width, stride=cell)

    total = overlay(cells.flatten(2) * window) / overlay(window.expand(1, -1, cells.shape[-1] * cells.shape[-2]))
    return total[..., margin : margin + image_size, margin : margin + image_size]
