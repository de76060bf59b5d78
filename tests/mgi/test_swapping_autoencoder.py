"""The Swapping Autoencoder equals the public code at random weights, and its layout is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from released import GOLDEN, layouts
from torch import Tensor

from mgi.config import ConfigError
from mgi.images import to_float
from mgi.profiles import load_config
from mgi.systems.swapping_networks import Autoencoder, Shape, used
from mgi.translators.released import module_of
from mgi.translators.swapping_autoencoder import Swapping
from mgi.weights import WeightsMissing

FILE = GOLDEN / "swapping_autoencoder.pth"


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    with np.load(GOLDEN / "swapping_autoencoder.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def test_codes_and_pictures_are_those_of_the_public_code(golden: dict[str, Tensor]) -> None:
    tensors = used(torch.load(FILE, weights_only=True))
    network = module_of("", "", tensors, lambda: Autoencoder(Shape.of(tensors)), "cpu")
    structure, texture = network.E(golden["x"])
    torch.testing.assert_close(structure, golden["structure"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(texture, golden["texture"], rtol=1e-4, atol=1e-5)
    image = network.G(structure, texture, torch.Generator().manual_seed(5))  # the noise that was drawn there
    torch.testing.assert_close(image, golden["image"], rtol=1e-4, atol=1e-4)
    assert (network.G(structure, texture) - golden["image"]).abs().max() > 0.01


def test_the_layout_of_the_released_faces_is_ours() -> None:
    layout = layouts()["swapping-autoencoder"]
    empty = used({key: torch.empty(size, device="meta") for key, size in layout.items()})
    shape = Shape.of(empty)
    assert shape == Shape((32, 64, 128, 256, 512), (1024, 2048), 8, 2048, (256, 512), (512, 512, 256, 128))
    with torch.device("meta"):
        network = Autoencoder(shape)
    assert {key: list(x.shape) for key, x in network.state_dict().items()} == {
        k: list(x.shape) for k, x in empty.items()
    }
    millions = [sum(x.numel() for x in part.parameters()) / 1e6 for part in (network.E, network.G)]
    assert millions == [pytest.approx(30.585, abs=0.001), pytest.approx(25.065, abs=0.001)]  # as the public code counts


def translator(**options: Any) -> Swapping:
    given = {f"options.{name}": value for name, value in ({"checkpoint": str(FILE), "size": 112} | options).items()}
    return Swapping(load_config("quick", given, method="swapping-autoencoder"), "cpu")


def test_structure_of_one_and_texture_of_the_other() -> None:
    x, y = (np.random.default_rng(seed).integers(0, 256, (112, 112, 3), dtype=np.uint8) for seed in range(2))
    ours = translator()
    found = ours.translate(x, y, seed=3)
    assert found.image.shape == (112, 112, 3) and np.array_equal(found.image, ours.translate(x, y, seed=3).image)
    structure, texture = ours.network.E(to_float(x))[0], ours.network.E(to_float(y))[1]
    expected = ours.network.G(structure, texture, torch.Generator().manual_seed(3))
    assert (to_float(found.image) - expected.clamp(-1, 1)).abs().max() < 0.01
    alone = translator(mix=0.0).translate(x, y, seed=3)
    assert np.array_equal(alone.image, ours.translate(x, x, seed=3).image) and (alone.image != found.image).any()


def test_what_cannot_be_used_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        WeightsMissing, match=r"swapping-autoencoder: expected options.model, .*, or options.checkpoint, .*, found none"
    ):
        translator(checkpoint="")
    for options, said in (
        ({"sizes": 3}, "options.sizes: swapping-autoencoder knows model, checkpoint, size, mix"),
        ({"size": 96}, "options.size: expected a multiple of 16, at least 112, found 96"),
        ({"size": 120}, "expected a multiple of 16, at least 112, found 120"),
    ):
        with pytest.raises(ConfigError, match=said):
            translator(**options)
    torch.save({"E.FromRGB.Conv.weight": torch.zeros(8, 3, 1, 1)}, tmp_path / "half.pth")
    with pytest.raises(ConfigError, match=r"expected one of swapping-autoencoder, found no E.ToSpatialCode"):
        translator(checkpoint=str(tmp_path / "half.pth"))
    tensors = torch.load(FILE, weights_only=True)
    torch.save({**tensors, "E.more": torch.zeros(1)}, tmp_path / "more.pth")
    with pytest.raises(ConfigError, match=r"options.checkpoint: E.more: expected no such tensor, found \[1\]"):
        translator(checkpoint=str(tmp_path / "more.pth"))
    (tmp_path / "text.pth").write_text("no checkpoint")
    with pytest.raises(ConfigError, match=r"options.checkpoint: .*text\.pth"):
        translator(checkpoint=str(tmp_path / "text.pth"))
