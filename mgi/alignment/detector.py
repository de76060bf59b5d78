"""MTCNN: a small face detector with five landmarks, read from the weights that a package carries.

Zhang et al., "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks", 2016.
Three networks in a cascade: the first scans an image pyramid, the second drops most windows, the third refines the rest
and finds the eye centres, the nose tip and the mouth corners. 490,000 parameters, about 0.1 s for a 512 x 512 image.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from mgi.alignment.suppression import nms

_PYRAMID_FACTOR = 0.709  # as published: each level has half the area
_CELL, _STRIDE = 12, 2  # window and stride of the first network
_THRESHOLDS = (0.6, 0.7, 0.7)  # as published, one per network


@dataclass(frozen=True)
class Face:
    """One detection, in pixels of the image: box (x0, y0, x1, y1), landmarks [5,2] as (x, y), probability."""

    box: tuple[float, float, float, float]
    landmarks: Tensor
    confidence: float

    @property
    def area(self) -> float:
        """Of the box, in square pixels."""
        x0, y0, x1, y1 = self.box
        return max(0.0, x1 - x0) * max(0.0, y1 - y0)

    def scaled(self, factor: float) -> Face:
        """The same face in a picture that is `factor` times as large."""
        x0, y0, x1, y1 = (factor * value for value in self.box)
        return Face((x0, y0, x1, y1), self.landmarks * factor, self.confidence)


class FaceDetector:
    """Finds faces in uint8 images.

    Args:
        path: safetensors file of the zoo entry `mtcnn-faces`.
        min_face: smallest face to look for, as a fraction of the image's shorter side.
    """

    def __init__(self, path: Path | str, min_face: float) -> None:
        self._tensors = load_file(str(path))
        self._min_face = min_face

    @torch.no_grad()
    def detect(self, image_hwc: Tensor) -> list[Face]:
        """uint8 [H,W,3] -> faces, best first (confidence x area)."""
        image = (image_hwc.permute(2, 0, 1).float()[None] - 127.5) / 128
        boxes = self._propose(image)
        boxes = self._refine(image, boxes)
        faces = self._place(image, boxes)
        return sorted(faces, key=lambda face: face.confidence * face.area, reverse=True)

    def _propose(self, image: Tensor) -> Tensor:
        """Scan the pyramid; returns candidate boxes [M,4]."""
        height, width = image.shape[2:]
        shorter = min(height, width)
        scale = _CELL / max(_CELL, self._min_face * shorter)
        boxes, scores, levels = [], [], []
        level = 0
        while shorter * scale >= _CELL:
            size = (int(height * scale + 1), int(width * scale + 1))
            x = self._scan(F.interpolate(image, size=size, mode="area"))
            probability, offsets = x
            rows, columns = torch.nonzero(probability >= _THRESHOLDS[0], as_tuple=True)
            corner = torch.stack([columns, rows], dim=1).float() * _STRIDE
            found = torch.cat([corner + 1, corner + _CELL], dim=1) / scale
            found = _regress(found, offsets[:, rows, columns].t())
            kept = nms(found, probability[rows, columns], 0.5)
            boxes.append(found[kept])
            scores.append(probability[rows, columns][kept])
            levels.append(torch.full((len(kept),), level))
            scale *= _PYRAMID_FACTOR
            level += 1
        if not boxes:
            return torch.empty(0, 4)
        every = torch.cat(boxes)
        kept = nms(every, torch.cat(scores), 0.7)
        return _square(every[kept])

    def _scan(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.max_pool2d(self._conv(x, "pnet", 1), 2, 2, ceil_mode=True)
        x = self._conv(self._conv(x, "pnet", 2), "pnet", 3)
        logits = F.conv2d(x, self._tensors["pnet.conv4_1.weight"], self._tensors["pnet.conv4_1.bias"])
        offsets = F.conv2d(x, self._tensors["pnet.conv4_2.weight"], self._tensors["pnet.conv4_2.bias"])
        return logits.softmax(1)[0, 1], offsets[0]

    def _refine(self, image: Tensor, boxes: Tensor) -> Tensor:
        if len(boxes) == 0:
            return boxes
        x = _crops(image, boxes, 24)
        x = F.max_pool2d(self._conv(x, "rnet", 1), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self._conv(x, "rnet", 2), 3, 2, ceil_mode=True)
        x = self._conv(x, "rnet", 3)
        x = self._dense(x, "rnet", 4)
        probability = self._linear(x, "rnet.dense5_1").softmax(1)[:, 1]
        keep = probability >= _THRESHOLDS[1]
        boxes = _regress(boxes, self._linear(x, "rnet.dense5_2"))[keep]
        kept = nms(boxes, probability[keep], 0.7)
        return _square(boxes[kept])

    def _place(self, image: Tensor, boxes: Tensor) -> list[Face]:
        if len(boxes) == 0:
            return []
        x = _crops(image, boxes, 48)
        x = F.max_pool2d(self._conv(x, "onet", 1), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self._conv(x, "onet", 2), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self._conv(x, "onet", 3), 2, 2, ceil_mode=True)
        x = self._conv(x, "onet", 4)
        x = self._dense(x, "onet", 5)
        probability = self._linear(x, "onet.dense6_1").softmax(1)[:, 1]
        relative = self._linear(x, "onet.dense6_3").view(-1, 2, 5).transpose(1, 2)  # five x, then five y
        sides = (boxes[:, 2:] - boxes[:, :2] + 1)[:, None]
        landmarks = relative * sides + boxes[:, None, :2] - 1
        boxes = _regress(boxes, self._linear(x, "onet.dense6_2"))
        keep = torch.nonzero(probability >= _THRESHOLDS[2])[:, 0]
        keep = keep[nms(boxes[keep], probability[keep], 0.5)]
        return [Face(tuple(boxes[i].tolist()), landmarks[i].clone(), float(probability[i])) for i in keep.tolist()]

    def _conv(self, x: Tensor, net: str, index: int) -> Tensor:
        t = self._tensors
        x = F.conv2d(x, t[f"{net}.conv{index}.weight"], t[f"{net}.conv{index}.bias"])
        return F.prelu(x, t[f"{net}.prelu{index}.weight"])

    def _dense(self, x: Tensor, net: str, index: int) -> Tensor:
        x = x.permute(0, 3, 2, 1).flatten(1)  # the published weights expect columns before rows before channels
        return F.prelu(self._linear(x, f"{net}.dense{index}"), self._tensors[f"{net}.prelu{index}.weight"])

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"])


def _regress(boxes: Tensor, offsets: Tensor) -> Tensor:
    """Move each side of [M,4] boxes by its offset, given in box sides."""
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    return boxes + offsets * sides


def _square(boxes: Tensor) -> Tensor:
    """Grow boxes to squares around the same centres."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).amax(1, keepdim=True) / 2
    return torch.cat([centre - half, centre + half], dim=1)


def _crops(image: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Cut boxes out of image [1,3,H,W], zero outside, by area to [M,3,size,size]."""
    height, width = image.shape[2:]
    crops = []
    for x0, y0, x1, y1 in boxes.round().int().tolist():
        x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
        pad = (max(0, -x0), max(0, x1 - width), max(0, -y0), max(0, y1 - height))
        inside = image[:, :, max(0, y0) : min(height, y1), max(0, x0) : min(width, x1)]
        if inside.numel() == 0:
            crops.append(image.new_zeros(1, 3, size, size))
            continue
        crops.append(F.interpolate(F.pad(inside, pad), size=(size, size), mode="area"))
    return torch.cat(crops)
