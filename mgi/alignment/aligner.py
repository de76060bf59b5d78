"""Aligning any picture to the generator's template: by the face if there is one, else by its centre square."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mgi import weights
from mgi.alignment.detector import FaceDetector
from mgi.alignment.template import align_image, centre_square, face_quad
from mgi.config import Align
from mgi.images import resize

DETECTOR_SIDE = 640
"""Longest side of the copy that the face detector sees."""


class NoFace(ValueError):
    """`align.mode = require`, and no face was found; the message is one line."""


class Aligner:
    """Pictures of any shape -> uint8 [S, S, 3].

    Args:
        settings: whether to look for faces.
        size: S.
    """

    def __init__(self, settings: Align, size: int) -> None:
        self.settings, self.size = settings, size
        self._detector: FaceDetector | None = None

    def __call__(self, image: np.ndarray, what: str) -> tuple[np.ndarray, str]:
        """uint8 [H, W, 3] -> (aligned picture, "face" or "centre"); `what` names it in messages.

        Raises:
            NoFace: a face is required and there is none.
        """
        quad, how = self.quad(image, what)
        return align_image(torch.from_numpy(np.array(image, dtype=np.uint8)), quad, self.size).numpy(), how

    def quad(self, image: np.ndarray, what: str) -> tuple[Tensor, str]:
        """The square that a picture uint8 [H, W, 3] is cut to: corners [4, 2] as `template.face_quad`, and how found.

        Raises:
            NoFace: as for the whole.
        """
        pixels = torch.from_numpy(np.array(image, dtype=np.uint8))
        if self.settings.mode != "never":
            small = _reduced(pixels)
            faces = [f for f in self._faces().detect(small) if f.confidence >= self.settings.min_confidence]
            if faces:
                return face_quad(faces[0].landmarks * (pixels.shape[1] / small.shape[1])), "face"
            if self.settings.mode == "require":
                raise NoFace(f"no face found in the {what}; use a picture with a visible face or align.mode = auto")
        return centre_square(*pixels.shape[:2]), "centre"

    def _faces(self) -> FaceDetector:
        if self._detector is None:
            self._detector = FaceDetector(weights.path("mtcnn-faces"))
        return self._detector


def _reduced(pixels: Tensor) -> Tensor:
    """A smaller copy for the detector: uint8 [H,W,3] with no side above `DETECTOR_SIDE`."""
    height, width = pixels.shape[:2]
    if max(height, width) <= DETECTOR_SIDE:
        return pixels
    scale = DETECTOR_SIDE / max(height, width)
    small = resize(pixels.permute(2, 0, 1)[None].float(), (max(1, round(height * scale)), max(1, round(width * scale))))
    return small[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8)
