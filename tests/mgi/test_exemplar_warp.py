"""The warped exemplar as a translator: the warp of `mgi.correspondence`, enlarged."""

from __future__ import annotations

import numpy as np
import pytest
import torch.nn.functional as F

from mgi.config import RunConfig
from mgi.correspondence.matching import soft_warp_reference
from mgi.correspondence.warping import warp_pair
from mgi.features import load_backbone
from mgi.images import to_float, to_uint8
from mgi.profiles import load_config
from mgi.translators import load_translator
from mgi.translators.exemplar_warp import ExemplarWarp
from mgi.weights import WeightsMissing, path


def noise(count: int, rows: int = 32) -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [draw.integers(0, 256, (rows, rows, 3), dtype=np.uint8) for _ in range(count)]


@pytest.fixture(scope="module")
def warping() -> RunConfig:
    try:
        path("vgg16-imagenet")
    except WeightsMissing as error:
        pytest.skip(str(error))
    settings = {"warp.image_size": 32, "warp.feature_size": 8, "warp.layers": ["relu2_2"], "warp.patch": 1}
    return load_config("quick", settings | {"upsampling": 2, "warp.colours": "pooled"}, method="exemplar-warp")


def test_exemplar_warp_is_the_warp_enlarged(warping: RunConfig) -> None:
    source, exemplar = noise(2)
    translator = load_translator(warping, "cpu")
    assert isinstance(translator, ExemplarWarp) and translator.picture_size == 32
    found = translator.translate(source, exemplar)
    network = load_backbone("vgg16-imagenet")
    expected = warp_pair(to_float(source), to_float(exemplar), network, warping, seed=0).warp
    np.testing.assert_array_equal(found.warp, to_uint8(expected)[0])
    large = F.interpolate(to_float(found.warp), size=(64, 64), mode="bilinear")
    np.testing.assert_array_equal(found.image, to_uint8(large)[0])
    assert found.info["warp_method"] == "plain" and not found.arrays

    units = []  # equations 3-6, whole
    for picture in (source, exemplar):
        feature = network(to_float(picture), ["relu2_2"])["relu2_2"]
        feature = F.interpolate(feature, size=(8, 8), mode="bilinear", align_corners=False, antialias=True)
        feature = feature - feature.mean((2, 3), keepdim=True)
        units.append(feature / feature.norm(dim=1, keepdim=True))
    colours = F.avg_pool2d(to_float(exemplar), 4)
    small = soft_warp_reference(*units, colours, warping.warp.temperature)
    plain = F.interpolate(small, size=(32, 32), mode="bilinear")
    np.testing.assert_allclose(found.warp.astype(int), to_uint8(plain)[0], atol=1)


def test_exemplar_warp_fine_tunes_where_asked(warping: RunConfig) -> None:
    source, exemplar = noise(2, 32)
    changes = {"warp.image_size": 32, "warp.feature_size": 8, "oeft.iterations": 2, "oeft.image_size": 32}
    changes |= {"oeft.feature_size": 4, "oeft.context_size": 8, "oeft.positions": 16, "warp.method": "oeft"}
    config = load_config("quick", {**changes, "upsampling": 1}, method="exemplar-warp")
    found = ExemplarWarp(config, "cpu").translate(source, exemplar, seed=2)
    network = load_backbone("vgg16-imagenet")
    expected = warp_pair(to_float(source), to_float(exemplar), network, config, seed=2)
    np.testing.assert_array_equal(found.image, to_uint8(expected.warp)[0])
    np.testing.assert_array_equal(found.image, found.warp)
    assert found.info["warp_method"] == "oeft" != warping.warp.method


def test_exemplar_warp_refuses_another_size(warping: RunConfig) -> None:
    (small,), (large,) = noise(1, 32), noise(1, 64)
    with pytest.raises(ValueError, match="exemplar must be 32x32") as error:
        ExemplarWarp(warping, "cpu").translate(small, large)
    assert "\n" not in str(error.value)
