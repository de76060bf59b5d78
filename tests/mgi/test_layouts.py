"""Checkpoints in the public layouts give the images that the public implementations give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from mgi.generators import GeneratorError, load_file
from mgi.generators.pixelnorm import (
    activated_pixel_norm,
    pixel_norm,
    plain_activated_pixel_norm,
    plain_pixel_norm,
)
from mgi.weights.convert.generator import convert_checkpoint

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("name", ["pggan_mganprior", "pggan_genforce", "pggan_ganzoo"])
def test_golden_images(name: str) -> None:
    golden = {key: torch.from_numpy(array) for key, array in np.load(GOLDEN / f"{name}.npz").items()}
    generator = load_file(GOLDEN / f"{name}.pth")
    assert generator.z_dim == golden["z"].shape[1]
    assert generator.resolution == golden["image"].shape[-1]
    torch.testing.assert_close(generator(golden["z"]), golden["image"], rtol=1e-4, atol=1e-4)


STYLED = ("stylegan_genforce", "stylegan2_genforce", "stylegan2_rosinality")


@pytest.mark.parametrize("name", STYLED)
def test_golden_styles(name: str) -> None:
    golden = {key: torch.from_numpy(array) for key, array in np.load(GOLDEN / f"{name}.npz").items()}
    generator = load_file(GOLDEN / f"{name}.pth")
    tolerance = {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(generator.to_w(golden["z"]), golden["w"], **tolerance)
    torch.testing.assert_close(generator(golden["z"]), golden["image"], **tolerance)
    assert generator.styles == golden["wplus"].shape[1]
    torch.testing.assert_close(generator.synthesize(golden["wplus"]), golden["image_wplus"], **tolerance)
    (truncated,) = [key for key in golden if key.startswith("image_truncated")]
    w = generator.truncate(golden["w"], 0.7, 8 if truncated.endswith("layers8") else None)
    torch.testing.assert_close(generator.synthesize(w), golden[truncated], **tolerance)


@pytest.mark.parametrize("name", STYLED)
def test_tail_styles_at_every_layer(name: str) -> None:
    generator = load_file(GOLDEN / f"{name}.pth")
    z = torch.randn(2, 1, generator.z_dim, generator=torch.Generator().manual_seed(0))
    w = generator.to_w(z[:, 0])
    whole = generator(z[:, 0])
    for layer in range(1, generator.layers + 1):
        channels, size = generator.layer_channels(layer), generator.layer_size(layer)
        features = generator.compose(z, torch.ones(2, 1, channels), layer)
        assert features.shape == (2, channels, size, size)
        count = generator.tail_styles(layer)
        styles = w[:, None].expand(-1, count, -1).clone().requires_grad_()
        image = generator.render(features, layer, styles)
        torch.testing.assert_close(image, whole, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(generator.render(features, layer, w), image)
        torch.testing.assert_close(generator.render(features, layer, w, down=2), nn.functional.avg_pool2d(image, 2))
        (gradient,) = torch.autograd.grad(image.square().sum(), styles)
        assert (gradient.abs().sum(dim=2) > 0).all()  # every style of the tail matters
        with pytest.raises(GeneratorError, match=f"reads {count} styles, found {count + 1}"):
            generator.render(features, layer, w[:, None].expand(-1, count + 1, -1))
    with pytest.raises(GeneratorError, match="needs styles"):
        generator.render(features, generator.layers)


@pytest.mark.parametrize("name", STYLED)
def test_codes_of_w_and_many_codes(name: str) -> None:
    generator = load_file(GOLDEN / f"{name}.pth")
    z = torch.randn(2, 3, generator.z_dim, generator=torch.Generator().manual_seed(0))
    alpha = torch.rand(2, 3, generator.layer_channels(3), generator=torch.Generator().manual_seed(1))
    fused = generator.compose(z, alpha, 3)
    torch.testing.assert_close(generator.compose(generator.to_w(z), alpha, 3, space="w"), fused)
    by_hand = sum(alpha[:, n, :, None, None] * generator.head(generator.to_w(z[:, n]), 3) for n in range(3)) / 3
    torch.testing.assert_close(fused, by_hand, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", STYLED)
def test_damaged_styled_checkpoints_are_refused(tmp_path: Path, name: str) -> None:
    state = torch.load(GOLDEN / f"{name}.pth", weights_only=True)
    inner = state["g_ema" if name.endswith("rosinality") else "generator_smooth"]
    key = next(key for key in inner if key.endswith(("layer1.style.bias", "convs.0.conv.modulation.bias")))
    kept = inner[key]
    for value, message in (
        (None, "is missing; the checkpoint is incomplete"),
        (torch.full_like(kept, torch.nan), "holds NaN or infinity"),
        (torch.zeros(5, 5), r"has shape \[5, 5\], expected"),
    ):
        if value is None:
            del inner[key]
        else:
            inner[key] = value
        torch.save(state, tmp_path / "damaged.pth")
        with pytest.raises(GeneratorError, match=message) as caught:
            load_file(tmp_path / "damaged.pth")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["pggan_genforce", "pggan_ganzoo"])
def test_every_layer_composes_and_renders(name: str) -> None:
    generator = load_file(GOLDEN / f"{name}.pth")
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
            r"expected scaleLayers 0, 1.*\[0, 1, 2, 9\]",
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
        load_file(tmp_path / "damaged.pth")


@pytest.mark.parametrize("name", ["pggan_ganzoo", "stylegan_genforce", "stylegan2_rosinality"])
def test_conversion_keeps_every_number(name: str, tmp_path: Path) -> None:
    target = tmp_path / "converted.safetensors"
    layout, resolution = convert_checkpoint(GOLDEN / f"{name}.pth", target)
    assert resolution == 32
    assert layout.split()[0].lower() == name.split("_")[0]
    z = torch.from_numpy(np.load(GOLDEN / f"{name}.npz")["z"])
    assert torch.equal(load_file(target)(z), load_file(GOLDEN / f"{name}.pth")(z))
    with safe_open(target, "pt") as file:
        assert file.metadata()["layout"] == layout
    again = tmp_path / "again.safetensors"
    convert_checkpoint(target, again)
    assert torch.equal(load_file(again)(z), load_file(target)(z))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_pixel_norm_equals_its_plain_twin() -> None:
    x = torch.randn(2, 5, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    weight = torch.randn(2, 5, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(pixel_norm(x), plain_pixel_norm(x))
    fast, plain = (torch.autograd.grad((norm(x) * weight).sum(), x)[0] for norm in (pixel_norm, plain_pixel_norm))
    torch.testing.assert_close(fast, plain, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("size", [1.0, 1e-2, 1e-4, 0.0])
def test_activated_pixel_norm_equals_its_plain_twin(size: float) -> None:
    """Positions where epsilon counts and positions of zeros among ordinary ones, in any memory layout."""
    random = torch.Generator().manual_seed(0)
    x = torch.randn(2, 5, 3, 4, dtype=torch.float64, generator=random)
    x[0, :, 1] *= size
    weight = torch.randn(x.shape, dtype=torch.float64, generator=random)
    found = []
    for norm, layout in (
        (plain_activated_pixel_norm, torch.contiguous_format),
        (activated_pixel_norm, torch.channels_last),
        (activated_pixel_norm, torch.contiguous_format),
    ):
        leaf = x.clone(memory_format=layout).requires_grad_()
        y = norm(leaf * 1)  # the fast one overwrites its input
        found.append((y.detach(), *torch.autograd.grad((y * weight).sum(), leaf)))
    for fast in found[1:]:
        torch.testing.assert_close(fast[0], found[0][0], rtol=1e-5, atol=1e-8)
        torch.testing.assert_close(fast[1], found[0][1], rtol=1e-5, atol=1e-5)


def test_activated_pixel_norm_has_an_exact_gradient() -> None:
    x = torch.randn(1, 4, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x[..., 0] *= 1e-2
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: activated_pixel_norm(x * 1), (x,), eps=1e-8, atol=1e-4, rtol=1e-4)
