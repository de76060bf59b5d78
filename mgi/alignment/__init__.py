"""Aligning a photo of a face to the template that face generators were trained on."""

from mgi.alignment.aligner import Aligner, NoFace
from mgi.alignment.detector import Face, FaceDetector
from mgi.alignment.template import align_image, centre_square, face_quad

__all__ = ["Aligner", "Face", "FaceDetector", "NoFace", "align_image", "centre_square", "face_quad"]
