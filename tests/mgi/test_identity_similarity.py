"""Identity similarity equals the public code's at random weights."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from released import GOLDEN, filled, layouts

from mgi.features import FeatureError
from mgi.features.ir_se50 import IRSE50, ir_se50
from mgi.images import resize
from mgi.metrics.base import Views
from mgi.metrics.registry import metric


@cache
def network() -> IRSE50:
    return ir_se50(filled(layouts()["ir-se50"]))


def test_vectors_and_layout_are_those_of_the_public_code() -> None:
    with np.load(GOLDEN / "ir_se50.npz") as file:
        faces, expected = torch.from_numpy(file["small"]), torch.from_numpy(file["embedding"])
    faces = torch.nn.functional.interpolate(faces, size=256, mode="bilinear")
    found = network()(faces, ["embedding"])["embedding"]
    assert found.shape == (2, 512, 1, 1) and network().channels("embedding") == 512
    torch.testing.assert_close(found.flatten(1), expected, rtol=1e-4, atol=1e-5)
    assert sum(x.numel() for x in network().parameters()) / 1e6 == pytest.approx(43.798, abs=0.001)
    with torch.device("meta"):
        ours = IRSE50().state_dict()
    assert {key: list(x.shape) for key, x in ours.items()} == layouts()["ir-se50"]


def test_a_face_is_itself_and_the_crop_follows_the_size() -> None:
    random = torch.Generator().manual_seed(0)
    faces = resize(torch.rand(2, 3, 16, 16, generator=random) * 2 - 1, 256)
    one, other = faces[:1], faces[1:]
    identity = metric("identity")
    views = (Views(one, source=one), Views(resize(one, 512), source=one), Views(one, source=other))
    same, larger, different = (identity(view, lambda name: network()) for view in views)  # type: ignore[operator]
    assert same == pytest.approx(1, abs=1e-5) and larger == pytest.approx(1, abs=1e-3) and different < same - 1e-6


def test_another_checkpoint_is_refused() -> None:
    layout = layouts()["ir-se50"]
    tensors = {key: torch.empty(shape, device="meta") for key, shape in layout.items()}
    tensors["body.3.shortcut_layer.0.weight"] = torch.empty(1)
    with pytest.raises(FeatureError, match=r"body.3.shortcut_layer.0.weight: expected \[128, 64, 1, 1\], found \[1\]"):
        ir_se50(tensors)
