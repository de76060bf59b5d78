"""The FFHQ template: where eyes and mouth sit in the images that face generators know (Karras et al. 2019, appendix A).

The crop is a square oriented by the line between the eyes and the line from eyes to mouth, 4 eye distances or 3.6
eye-to-mouth distances wide, whichever is larger, centred a tenth of the way from the eyes to the mouth.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def face_quad(landmarks: Tensor) -> Tensor:
    """Corners [4,2] (top left, bottom left, bottom right, top right; x, y) of the template square.

    landmarks [5,2]: left eye, right eye, nose, left and right mouth corner, as seen in the picture.
    """
    left_eye, right_eye, _, left_mouth, right_mouth = landmarks.double()
    eyes, mouth = (left_eye + right_eye) / 2, (left_mouth + right_mouth) / 2
    across, down = right_eye - left_eye, mouth - eyes
    x = across - torch.stack([-down[1], down[0]])
    x = x / x.norm() * max(across.norm().item() * 2.0, down.norm().item() * 1.8)
    y = torch.stack([-x[1], x[0]])
    centre = eyes + down * 0.1
    return torch.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y])


def align_image(image_hwc: Tensor, quad: Tensor, size: int) -> Tensor:
    """Resample the square `quad` of a uint8 image [H,W,3] to uint8 [size,size,3].

    The image is first reduced by area so that sampling does not alias; what lies outside is mirrored, then blurred in
    proportion to its distance, as the data set's own preparation does.
    """
    side = float((quad[2] - quad[1]).norm())
    image = image_hwc.permute(2, 0, 1).float()[None]
    shrink = max(1, math.floor(side / size))
    if shrink > 1:
        height, width = image.shape[2] // shrink, image.shape[3] // shrink
        image = F.interpolate(image[:, :, : height * shrink, : width * shrink], size=(height, width), mode="area")
    quad = (quad / shrink).float()
    height, width = image.shape[2:]
    grid = (points(quad, size) / torch.tensor([width, height]) * 2 - 1)[None]
    sharp = F.grid_sample(image, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    outside = (grid.abs().amax(-1) - 1).clamp(min=0)[:, None]  # 0 inside, distance from the edge beyond it
    if float(outside.max()) > 0:
        soft = _blur(sharp, max(1, size // 32))
        sharp = torch.lerp(sharp, soft, (outside * 12).clamp(max=1))
    return sharp[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8)


def points(quad: Tensor, size: int) -> Tensor:
    """Where the pixels of a square of size x size lie in the picture: [size, size, 2], x and y."""
    steps = (torch.arange(size) + 0.5) / size
    across, down = torch.meshgrid(steps, steps, indexing="xy")
    origin, to_right, to_bottom = quad[0], quad[3] - quad[0], quad[1] - quad[0]
    return origin + across[..., None] * to_right + down[..., None] * to_bottom


def centre_square(height: int, width: int) -> Tensor:
    """The largest centred square as a quad, for images without a face."""
    side = min(height, width)
    x, y = (width - side) / 2, (height - side) / 2
    return torch.tensor([[x, y], [x, y + side], [x + side, y + side], [x + side, y]], dtype=torch.float64)


def _blur(x: Tensor, radius: int) -> Tensor:
    """Three box filters: close to a Gaussian of the same width."""
    for _ in range(3):
        x = F.avg_pool2d(F.pad(x, (radius,) * 4, mode="reflect"), 2 * radius + 1, stride=1)
    return x
