"""Boxes that overlap: the same ones stay as in torchvision."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from places import ROOT

from mgi.alignment.suppression import nms


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.integers(0, 300), st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]))
def test_the_boxes_that_stay_are_torchvision_s(seed: int, count: int, overlap: float) -> None:
    ops = pytest.importorskip("torchvision.ops")
    random = torch.Generator().manual_seed(seed)
    corners = torch.randint(0, 40, (count, 2), generator=random).float()
    boxes = torch.cat([corners, corners + torch.randint(0, 20, (count, 2), generator=random)], dim=1)
    scores = torch.randint(0, 50, (count,), generator=random).float() / 50  # many are equal
    assert torch.equal(nms(boxes, scores, overlap), ops.nms(boxes, scores, overlap))


@pytest.mark.slow
def test_looking_for_faces_does_not_import_torchvision() -> None:
    code = "import sys, mgi.alignment; sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=100, check=False).returncode == 0
