"""The face detector on real weights and pictures, and the FFHQ template."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mgi import weights
from mgi.alignment import FaceDetector, align_image, centre_square, face_quad
from mgi.alignment.aligner import MIN_FACE

EXAMPLES = Path(__file__).parents[2] / "examples"
EYES_AND_MOUTH = torch.tensor([[102.0, 120.0], [154.0, 120.0], [128.0, 150.0], [108.0, 180.0], [148.0, 180.0]])


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector(weights.path("mtcnn-faces"), MIN_FACE)


def picture(name: str) -> torch.Tensor:
    with Image.open(EXAMPLES / name) as image:
        return torch.from_numpy(np.array(image.convert("RGB")))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sources/astronaut.jpg", "sources/generated-a.jpg", "exemplars/generated-b.jpg"])
def test_a_face_is_found_and_comes_to_the_template(detector: FaceDetector, name: str) -> None:
    faces = detector.detect(picture(name))
    assert faces[0].confidence > 0.95
    left, right, nose, *mouth = faces[0].landmarks
    assert left[0] < nose[0] < right[0]
    assert left[1] < nose[1] < min(corner[1] for corner in mouth)
    aligned = align_image(picture(name), face_quad(faces[0].landmarks), 256)
    again = detector.detect(aligned)[0].landmarks
    eyes = again[:2].mean(0) / 256
    # Where FFHQ has them: the middle of the eyes a little above the middle of the picture.
    assert eyes[0] == pytest.approx(0.5, abs=0.04)
    assert eyes[1] == pytest.approx(0.47, abs=0.05)


@pytest.mark.slow
def test_nothing_is_found_where_there_is_nothing(detector: FaceDetector) -> None:
    assert detector.detect(torch.full((200, 300, 3), 127, dtype=torch.uint8)) == []
    tiny = torch.zeros((8, 8, 3), dtype=torch.uint8)
    assert detector.detect(tiny) == []


def test_the_template_follows_rotation_and_scale() -> None:
    quad = face_quad(EYES_AND_MOUTH)
    sides = (quad - quad.roll(-1, 0)).norm(dim=1)
    torch.testing.assert_close(sides, sides[:1].expand(4))
    # across 52, down 60: max(2 x 52, 1.8 x 60) = 108 from centre to side
    assert float(sides[0]) == pytest.approx(2 * 108.0)
    assert quad.mean(0).tolist() == pytest.approx([128.0, 126.0])
    turn = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(face_quad((EYES_AND_MOUTH.double() @ turn) * 3), quad @ turn * 3)


def test_aligning_to_the_whole_picture_is_an_area_resize() -> None:
    image = (torch.arange(64 * 64 * 3).view(64, 64, 3) % 251).to(torch.uint8)
    same = align_image(image, centre_square(64, 64), 64)
    assert torch.equal(same, image)
    half = align_image(image, centre_square(64, 64), 32)
    means = image.double().view(32, 2, 32, 2, 3).mean((1, 3))
    assert (half.double() - means).abs().max() <= 0.51


def test_what_lies_outside_is_filled() -> None:
    image = torch.full((40, 40, 3), 200, dtype=torch.uint8)
    quad = torch.tensor([[-30.0, -30.0], [-30.0, 70.0], [70.0, 70.0], [70.0, -30.0]])
    assert (align_image(image, quad, 50) == 200).all()


def test_centre_square_of_a_wide_picture() -> None:
    assert centre_square(10, 30).tolist() == [[10, 0], [10, 10], [20, 10], [20, 0]]
