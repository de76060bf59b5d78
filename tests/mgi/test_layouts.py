"""Checkpoints in the public layouts give the images that the public implementations give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mgi.generators import GeneratorError, load

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("name", ["pggan_mganprior", "pggan_genforce", "pggan_ganzoo"])
def test_golden_images(name: str) -> None:
    golden = {key: torch.from_numpy(array) for key, array in np.load(GOLDEN / f"{name}.npz").items()}
    generator = load(GOLDEN / f"{name}.pth")
    assert generator.z_dim == golden["z"].shape[1]
    assert generator.resolution == golden["image"].shape[-1]
    torch.testing.assert_close(generator(golden["z"]), golden["image"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["pggan_genforce", "pggan_ganzoo"])
def test_every_layer_composes_and_renders(name: str) -> None:
    generator = load(GOLDEN / f"{name}.pth")
    z = torch.randn(2, 1, generator.z_dim, generator=torch.Generator().manual_seed(0))
    whole = generator(z[:, 0])
    for layer in range(1, generator.layers + 1):
        features = generator.compose(z, torch.ones(2, 1, generator.layer_channels(layer)), layer)
        assert features.shape[1:] == (generator.layer_channels(layer), *[generator.layer_size(layer)] * 2)
        torch.testing.assert_close(generator.render(features, layer), whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("groupScale0.0.module.bias", None, "groupScale0.0.module.bias is missing"),
        ("scaleLayers.1.0.module.weight", torch.zeros(4, 4), r"scaleLayers.1.0 has shapes \[4, 4\]"),
        ("scaleLayers.1.0.module.weight", torch.zeros(16, 5, 3, 3), "gives 32 channels, what follows takes 5"),
        (
            "scaleLayers.9.0.module.weight",
            torch.zeros(16, 5, 3, 3),
            r"expected scaleLayers 0, 1, .*found \[0, 1, 2, 9\]",
        ),
        ("formatLayer.module.weight", torch.zeros(511, 24), r"shapes \[511, 24\]"),
        ("toRGBLayers.3.module.bias", torch.full((3,), torch.nan), "holds NaN or infinity"),
    ],
)
def test_damaged_ganzoo_is_refused(tmp_path: Path, key: str, value: torch.Tensor | None, message: str) -> None:
    state = torch.load(GOLDEN / "pggan_ganzoo.pth", weights_only=True)
    if value is None:
        del state["avgG"][key]
    else:
        state["avgG"][key] = value
    torch.save(state, tmp_path / "damaged.pth")
    with pytest.raises(GeneratorError, match=message):
        load(tmp_path / "damaged.pth")
