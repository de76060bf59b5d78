"""Aligning any picture to the generator's template: by the face if there is one, else by its centre square."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mgi import weights
from mgi.alignment.detector import Face, FaceDetector
from mgi.alignment.template import align_image, centre_square, face_quad
from mgi.config import Align
from mgi.images import resize

DETECTOR_SIDE = 640
"""Longest side of the copy that the face detector sees."""
MIN_FACE, SMALL_FACE = 0.12, 0.05
"""Smallest face, as a share of the picture's shorter side: at first, and if there is none. 150 paintings got no wrong
face more by the second, in which most have none."""


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
        self._detectors: dict[float, FaceDetector] = {}

    def __call__(self, image: np.ndarray, what: str, face: int = 1) -> tuple[np.ndarray, str]:
        """uint8 [H, W, 3] -> (aligned picture, "face" or "centre"); `what` names it in messages.

        Args:
            image: the picture.
            what: its name in messages.
            face: which of its faces, 1 is the largest.

        Raises:
            NoFace: a face is required and there is none, or there are not so many.
        """
        quad, how = self.quad(image, what, face)
        return align_image(torch.from_numpy(np.array(image, dtype=np.uint8)), quad, self.size).numpy(), how

    def faces(self, image: np.ndarray) -> list[Face]:
        """The faces of a picture uint8 [H, W, 3], the largest first, in its pixels.

        Small ones are looked for if all are wanted, or if there is no other.
        """
        pixels = torch.from_numpy(np.array(image, dtype=np.uint8))
        small = _reduced(pixels)
        scale = pixels.shape[1] / small.shape[1]
        found: list[Face] = []
        for smallest in (MIN_FACE, SMALL_FACE) if self.settings.faces == "largest" else (SMALL_FACE,):
            found = [f for f in self._detector(smallest).detect(small) if f.confidence >= self.settings.min_confidence]
            if found:
                break
        return [face.scaled(scale) for face in found]

    def quad(self, image: np.ndarray, what: str, face: int = 1) -> tuple[Tensor, str]:
        """The square that a picture uint8 [H, W, 3] is cut to: corners [4, 2] as `template.face_quad`, and how found.

        Raises:
            NoFace: as for the whole.
        """
        if self.settings.mode != "never":
            faces = self.faces(image)
            if len(faces) >= face:
                return face_quad(faces[face - 1].landmarks), "face"
            if face > 1:
                raise NoFace(f"expected at least {face} faces in the {what}, found {len(faces)}; was it replaced?")
            if self.settings.mode == "require":
                raise NoFace(f"no face found in the {what}; use a picture with a visible face or align.mode = auto")
        return centre_square(*image.shape[:2]), "centre"

    def _detector(self, smallest: float) -> FaceDetector:
        if smallest not in self._detectors:
            self._detectors[smallest] = FaceDetector(weights.path("mtcnn-faces"), smallest)
        return self._detectors[smallest]


def _reduced(pixels: Tensor) -> Tensor:
    """A smaller copy for the detector: uint8 [H,W,3] with no side above `DETECTOR_SIDE`."""
    height, width = pixels.shape[:2]
    if max(height, width) <= DETECTOR_SIDE:
        return pixels
    scale = DETECTOR_SIDE / max(height, width)
    small = resize(pixels.permute(2, 0, 1)[None].float(), (max(1, round(height * scale)), max(1, round(width * scale))))
    return small[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8)
