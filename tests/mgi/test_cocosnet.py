"""CoCosNet equals the public code at random weights, its layout is read, and what it is given is checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from released import GOLDEN, cocosnet_files, filled, layouts
from torch import Tensor

from mgi.alignment.maps import align_map
from mgi.alignment.template import centre_square
from mgi.config import ConfigError
from mgi.images import to_uint8
from mgi.profiles import load_config
from mgi.systems.cocosnet_networks import Correspondence, Generator, Shape
from mgi.translators import Conditioned, TranslatorError
from mgi.translators.cocosnet.files import read_networks
from mgi.translators.cocosnet.translator import CoCosNet
from mgi.weights import WeightsMissing


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    with np.load(GOLDEN / "cocosnet.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def one_hot(labels: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(labels.long(), 5).permute(2, 0, 1)[None].float()


@pytest.mark.parametrize(("variant", "enlarging"), [("faces", "bilinear"), ("poses", "patches")])
def test_both_networks_are_those_of_the_public_code(
    tmp_path: Path, golden: dict[str, Tensor], variant: str, enlarging: Any
) -> None:
    warping, painting = read_networks(*cocosnet_files(tmp_path, variant).values(), "cpu")
    condition, other = (one_hot(labels) for labels in golden[f"{variant}_labels"])
    warp = warping(condition, golden[f"{variant}_exemplar"], other, enlarging)
    torch.testing.assert_close(warp, golden[f"{variant}_warp"], rtol=1e-4, atol=2e-5)
    image = painting(golden[f"{variant}_warp"], condition)
    torch.testing.assert_close(image, golden[f"{variant}_image"], rtol=1e-3, atol=1e-3)


def test_the_published_layout_of_celebahq_is_ours() -> None:
    layout = layouts()["cocosnet"]["celebahq"]
    shape = Shape(width=64, maps=19, kernel=4, with_maps=True, coordinates=False, attention=True)
    spectral = ("_u", "_v")
    published = {
        part: {key.removesuffix("_orig"): size for key, size in keys.items() if not key.endswith(spectral)}
        for part, keys in layout.items()
    }
    empty = {part: {key: torch.empty(size, device="meta") for key, size in published[part].items()} for part in layout}
    assert Shape.of(empty["correspondence"], empty["generator"]) == shape
    with torch.device("meta"):
        networks = {"correspondence": Correspondence(shape), "generator": Generator(shape)}
    for part, network in networks.items():
        assert {key: list(x.shape) for key, x in network.state_dict().items()} == published[part]
    millions = [sum(x.numel() for x in network.parameters()) / 1e6 for network in networks.values()]
    assert millions == [pytest.approx(53.57, abs=0.01), pytest.approx(92.71, abs=0.01)]  # as the public code counts


def translator(tmp_path: Path, variant: str = "faces", **options: Any) -> CoCosNet:
    given = cocosnet_files(tmp_path, variant) | {"labels": str(tmp_path)} | options
    settings = {f"options.{name}": value for name, value in given.items()}
    return CoCosNet(load_config("quick", settings, method="cocosnet"), "cpu")


def test_labels_glasses_and_arrays_become_channels(tmp_path: Path) -> None:
    ours = translator(tmp_path)
    labels = np.array([[[0, 1], [4, 4]]], dtype=np.float32)
    found = ours._channels(labels)
    assert torch.equal(found, one_hot(torch.from_numpy(labels[0])))
    glasses = np.concatenate([labels, [[[255, 0], [0, 255]]]])
    with_glasses = ours._channels(glasses)
    assert torch.equal(with_glasses[0, 2], torch.tensor([[1.0, 0], [0, 1]])) and torch.equal(found[0, 4], found[0, 4])
    array = np.random.default_rng(0).normal(size=(5, 2, 2)).astype(np.float32)
    assert torch.equal(ours._channels(array)[0], torch.from_numpy(array))
    with pytest.raises(TranslatorError, match="expected labels below 5, found 9"):
        ours._channels(np.full((1, 2, 2), 9.0))
    with pytest.raises(TranslatorError, match="expected a condition of 5 channels or a map of labels, found 3"):
        ours._channels(np.zeros((3, 2, 2)))


def test_a_pair_with_its_maps_becomes_a_picture_and_its_warp(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x, y = (random.integers(0, 256, (256, 256, 3), dtype=np.uint8) for _ in range(2))
    maps = tuple(random.integers(0, 5, (1, 8, 8)).repeat(32, 1).repeat(32, 2).astype(np.float32) for _ in range(2))
    ours = translator(tmp_path)
    assert isinstance(ours, Conditioned) and ours.picture_size == 256
    found = ours.translate_conditioned((x, y), (maps[0], maps[1]))
    assert found.image.shape == (256, 256, 3) and found.warp is not None and found.image.std() > 5
    again = ours.translate_conditioned((y, y), (maps[0], maps[1]))
    assert np.array_equal(found.image, again.image)  # of the source, only the labels count
    other = ours.translate_conditioned((x, y), (maps[1], maps[0]))
    assert (other.image != found.image).any()
    warp = translator(tmp_path, output="warp").translate_conditioned((x, y), (maps[0], maps[1]))
    assert warp.image.shape == (256, 256, 3) and np.array_equal(warp.warp, found.warp)
    noise = translator(tmp_path, unlabelled=True)
    images = [noise.translate_conditioned((x, y), (maps[0], maps[1]), seed).image for seed in (1, 1, 2)]
    assert np.array_equal(images[0], images[1]) and (images[0] != images[2]).any()
    with pytest.raises(TranslatorError, match="expected the conditions of both pictures"):
        ours.translate(x, y)


def test_what_cannot_be_used_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"cocosnet: expected options.correspondence, a file of .*, found no file"):
        translator(tmp_path, correspondence=str(tmp_path / "none.pth"))
    for options, said in (
        ({"style": 1}, "options.style: cocosnet knows correspondence, generator"),
        ({"warp": "cubic"}, "options.warp: expected one of bilinear, nearest, patches, found cubic"),
        ({"labels": ""}, "options.labels: expected a folder with a map of every picture"),
    ):
        with pytest.raises(ConfigError, match=said):
            translator(tmp_path, **options)
    layout = layouts()["cocosnet"]["faces"]
    for part, change, said in (
        ("generator", {"fc.weight": [1, 1]}, r"options.generator: fc.weight: expected \[32, 8, 3, 3\], found \[1, 1\]"),
        ("generator", {"x.param_free_norm.running_mean": [1]}, "expected a network trained with --PONO"),
        ("correspondence", {"phi.weight": None}, "options.correspondence: expected one of cocosnet, found no"),
        ("generator", {"head_0.conv_0.weight_u": None}, "needs head_0.conv_0.weight_u, which the file lacks"),
    ):
        files = cocosnet_files(tmp_path, "faces")
        keys = {key: size for key, size in (layout[part] | change).items() if size is not None}
        if "weight_u" in said:
            torch.save({key: x for key, x in filled(layout[part]).items() if key in keys}, files[part])
        else:
            torch.save(filled(keys), files[part])
        with pytest.raises(ConfigError, match=said):
            read_networks(files["correspondence"], files["generator"], "cpu")


def test_maps_are_cut_as_their_pictures_are() -> None:
    labels = torch.arange(24.0).reshape(1, 4, 6)
    whole = align_map(labels, (40, 60), centre_square(40, 60), 4)  # a picture ten times as large as its map
    assert torch.equal(whole[0], labels[0, :, 1:5])
    quad = torch.tensor([[50.0, 0], [50, 20], [70, 20], [70, 0]])  # beyond the right edge
    assert torch.equal(align_map(labels, (40, 60), quad, 2)[0], labels[0, :2, 5:].expand(2, 2))
    ramp = np.repeat(np.arange(0, 240, 4, dtype=np.uint8)[None], 60, 0)
    from mgi.alignment.template import align_image

    turned = torch.tensor([[30.0, 10], [10, 30], [30, 50], [50, 30]])  # a square on its corner
    picture = align_image(torch.from_numpy(np.stack([ramp] * 3, -1)), turned, 16).float()[..., 0]
    assert (picture - align_map(torch.from_numpy(ramp[None]).float(), (60, 60), turned, 16)[0]).abs().max() <= 4
    assert to_uint8(torch.zeros(1, 3, 2, 2)).shape == (1, 2, 2, 3)
