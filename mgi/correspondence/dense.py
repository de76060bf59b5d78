"""Matching with the whole matrix in memory: both directions count, places count a little, and every match is judged.

`matching.soft_warp` is equation 6, which looks along rows of M alone: every position of the source takes the colours
that suit it best, also if the exemplar's position suits another far better. That is what tears warps. Here the
exemplar's view counts as much as the source's (dual softmax), and how far a match can be trusted comes out beside it.

Shapes: B pairs, N_S = H_S W_S positions of the source, N_T of the exemplar. At 64 x 64 a matrix takes 64 MiB per pair.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.correspondence.matching import neighbourhoods

BACK_WITHIN = 2
"""A match agrees if the way back ends at most this many cells of a 64 x 64 grid from where it began."""
GRID = 64
MATCHED = 0.5
"""Confidence from which a position counts as matched (`matched_share`)."""


@dataclass(frozen=True)
class Match:
    """Where every position of the source finds its colours.

    Args:
        weights: [B, N_S, N_T], rows sum to 1.
        confidence: [B, 1, H_S, W_S] in [0, 1]: the share of the way there and back that ends where it began.
    """

    weights: Tensor
    confidence: Tensor

    def colours(self, colours: Tensor) -> Tensor:
        """[B, K, H_T, W_T] -> [B, K, H_S, W_S], each position a convex combination."""
        warped = self.weights @ colours.flatten(2).transpose(1, 2)
        return warped.transpose(1, 2).unflatten(2, self.confidence.shape[-2:])

    def places(self, size: torch.Size) -> Tensor:
        """Where the colours come from, between positions: row and column in cells of the exemplar, [B, 2, H_S, W_S].

        A mean over candidates, so only of use where those are close together (`match` with a window).
        """
        grid = _places(size, self.weights.device).to(self.weights.dtype)
        return (self.weights @ grid).transpose(1, 2).unflatten(2, self.confidence.shape[-2:])

    @property
    def matched_share(self) -> Tensor:
        """[B]: share of positions with a confidence of at least `MATCHED`."""
        return (self.confidence >= MATCHED).float().mean(dim=(1, 2, 3))


def match(
    source_unit: Tensor,
    target_unit: Tensor,
    temperature: float,
    patch: int = 1,
    dual: bool = True,
    position_weight: float = 0.0,
    window: int = 0,
    allowed: Tensor | None = None,
) -> Match:
    """Match every position of the source.

    Args:
        source_unit: [B, C, H_S, W_S]: centred, unit length (`normalise` or `hierarchical_features`).
        target_unit: [B, C, H_T, W_T], likewise.
        temperature: alpha.
        patch: 3 takes the mean of M over nine offsets, as `soft_warp` does.
        dual: weights are the product of the softmax over the exemplar's positions and of that over the source's, made
            to sum to 1; otherwise equation 6.
        position_weight: what a match costs by the square of its distance, in units of M; the distance is in sides of
            the picture. For pictures that are framed alike.
        window: candidates more than this many cells from the best one get no weight, so that places far apart are not
            mixed; 0 lets all count.
        allowed: [B, N_S, N_T], the candidates that may get weight (`refine.allowed_by_coarse`); None: all.
    """
    logits = similarity(source_unit, target_unit, patch)
    if position_weight:
        logits -= position_weight * squared_distances(source_unit, target_unit)
    logits *= temperature
    # softmax_v(L) softmax_u(L), normalised over v, is softmax_v(2 L - logsumexp_u L); no product can underflow.
    forward = 2 * logits - logits.logsumexp(1, keepdim=True) if dual else logits
    backward = 2 * logits - logits.logsumexp(2, keepdim=True) if dual else logits
    size_s, size_t = source_unit.shape[-2:], target_unit.shape[-2:]
    if allowed is not None:
        forward = forward.masked_fill(~allowed, -torch.inf)
    if window:
        forward = forward.masked_fill(~near_best(forward, size_t, window), -torch.inf)
    weights = forward.softmax(2)
    returned = _box(backward.softmax(1), size_s, round(BACK_WITHIN * max(size_s) / GRID))
    confidence = (weights * returned).sum(2).clamp(0, 1).unflatten(1, size_s)[:, None]
    return Match(weights, confidence)


def match_reference(
    source_unit: Tensor,
    target_unit: Tensor,
    temperature: float,
    patch: int = 1,
    dual: bool = True,
    position_weight: float = 0.0,
    window: int = 0,
    allowed: Tensor | None = None,
) -> Match:
    """`match` as its words say, position by position."""
    source, target = (neighbourhoods(unit, patch).flatten(2) for unit in (source_unit, target_unit))
    logits = source.transpose(1, 2) @ target - position_weight * squared_distances(source_unit, target_unit)
    logits = (temperature * logits).double()
    rows, columns = logits.softmax(2), logits.softmax(1)
    forward, backward = (rows * columns, rows * columns) if dual else (rows, columns)
    size_s, size_t = source_unit.shape[-2:], target_unit.shape[-2:]
    if allowed is not None:
        forward = forward * allowed
    if window:
        places = _places(size_t)
        best = places[forward.argmax(2)]
        near = (places[None, None] - best[:, :, None]).abs().amax(-1) <= window
        forward = forward * near
    forward = forward / forward.sum(2, keepdim=True)
    backward = backward / backward.sum(1, keepdim=True)
    places = _places(size_s)
    close = (places[:, None] - places[None]).abs().amax(-1) <= round(BACK_WITHIN * max(size_s) / GRID)
    confidence = torch.einsum("buv,bwv,uw->bu", forward, backward, close.double())
    return Match(forward.float(), confidence.float().unflatten(1, size_s)[:, None])


def shifted_cells(images: Tensor, places: Tensor, size: int) -> Tensor:
    """Overlapping cells (`matching.overlapping_cells`) of an exemplar, each taken where its place says.

    Whole cells repeat: neighbours that match the same cell show the same pixels side by side, which is seen as a weave.
    Places between the cells follow each other, so the pixels do.

    Args:
        images: [B, 3, S, S], S a multiple of `size`.
        places: row and column of each position in cells, [B, 2, H, W]; (0, 0) is the first cell.

    Returns:
        [B, 3 k^2, H, W] for `matching.blend_cells`.
    """
    cell = images.shape[-1] // size
    width = cell + 2 * (cell // 2)
    offsets = torch.arange(width, device=images.device, dtype=images.dtype) - cell // 2
    rows, columns = (
        (places[:, axis, ..., None] * cell + offsets).clamp(0, images.shape[-1] - 1) for axis in (0, 1)
    )  # [B, H, W, k] in pixels
    height, across = places.shape[-2:]
    y = rows[..., :, None].expand(-1, -1, -1, width, width)
    x = columns[..., None, :].expand(-1, -1, -1, width, width)
    grid = torch.stack([x, y], dim=-1) * 2 / (images.shape[-1] - 1) - 1
    found = F.grid_sample(
        images, grid.flatten(1, 2).flatten(2, 3), mode="bilinear", padding_mode="border", align_corners=True
    )  # [B, 3, H W, k^2]
    return found.unflatten(2, (height, across)).permute(0, 1, 4, 2, 3).flatten(1, 2)


def similarity(source_unit: Tensor, target_unit: Tensor, patch: int = 1) -> Tensor:
    """M(u, v) of equation 3, or its mean over the offsets of a patch: [B, N_S, N_T]."""
    margin = patch // 2
    if not margin:
        return source_unit.flatten(2).transpose(1, 2) @ target_unit.flatten(2)
    source, target = (F.pad(unit, [margin] * 4, mode="replicate") for unit in (source_unit, target_unit))
    (height, width), (rows, columns) = source_unit.shape[-2:], target_unit.shape[-2:]
    matrix = source.flatten(2).transpose(1, 2) @ target.flatten(2)
    matrix = matrix.unflatten(2, target.shape[-2:]).unflatten(1, source.shape[-2:])
    # a box filter along the diagonals of M, first over rows and then over columns
    matrix = sum(matrix[:, d : d + height, :, d : d + rows] for d in range(patch))
    matrix = sum(matrix[:, :, d : d + width, :, d : d + columns] for d in range(patch))
    return matrix.flatten(3).flatten(1, 2) / patch**2


def squared_distances(source_unit: Tensor, target_unit: Tensor) -> Tensor:
    """|u - v|^2 in sides of the picture, [N_S, N_T]."""
    u, v = (
        (_places(unit.shape[-2:], unit.device) + 0.5) / torch.tensor(unit.shape[-2:], device=unit.device)
        for unit in (source_unit, target_unit)
    )
    return torch.cdist(u[None], v[None], compute_mode="donot_use_mm_for_euclid_dist")[0].square()


def near_best(logits: Tensor, size: torch.Size, window: int) -> Tensor:
    """[B, N_S, N_T]: whether a candidate is at most `window` rows and columns from the best of its row."""
    best = logits.argmax(2, keepdim=True)
    rows, columns = _places(size, logits.device).unbind(1)
    width = size[-1]
    return ((rows - best // width).abs() <= window) & ((columns - best % width).abs() <= window)


def _places(size: torch.Size, device: torch.device | str = "cpu") -> Tensor:
    """Row and column of every position, [N, 2]."""
    grids = torch.meshgrid(*(torch.arange(n, device=device) for n in size), indexing="ij")
    return torch.stack([grid.flatten() for grid in grids], dim=1)


def _box(matrix: Tensor, size: torch.Size, radius: int) -> Tensor:
    """Sums over the source positions at most `radius` rows and columns away: [B, N_S, N_T] -> likewise."""
    for axis in (1, 2):
        grid = matrix.unflatten(1, size)
        length = grid.shape[axis]
        padded = F.pad(grid, [0, 0] * (grid.ndim - 1 - axis) + [radius, radius])
        matrix = sum(padded.narrow(axis, d, length) for d in range(2 * radius + 1)).flatten(1, 2)  # type: ignore[union-attr]
    return matrix
