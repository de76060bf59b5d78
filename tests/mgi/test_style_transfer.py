"""Style transfer and AdaIN: the published terms written plainly, and what they promise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from published import random_vgg
from tiny_features import smooth_pictures
from torch import Tensor, nn

from mgi.config import ConfigError, RunConfig
from mgi.images import to_uint8
from mgi.profiles import load_config
from mgi.translators.adain import DECODER, ENCODER, AdaIN, adain
from mgi.translators.adain import run as chain
from mgi.translators.style_transfer import CONTENT, STYLE, StyleTransfer
from mgi.weights import WeightsMissing


def config(method: str = "style-transfer", **options: Any) -> RunConfig:
    settings = {f"options.{name}": value for name, value in options.items()}
    return load_config("quick", settings | {"warp.image_size": 64, "upsampling": 2}, method=method)


@pytest.fixture(scope="module")
def pair() -> tuple[Tensor, Tensor]:
    x, y = smooth_pictures(1, 64)
    return x[:1], y[:1]


def test_the_loss_is_that_of_the_public_code() -> None:
    random = torch.Generator().manual_seed(0)
    channels = {"relu1_1": 4, "relu2_1": 8, "relu3_1": 12, "relu4_1": 16, "relu4_2": 16, "relu5_1": 20}
    found = {name: torch.rand(1, c, 6, 5, generator=random) for name, c in channels.items()}
    target = {name: torch.rand(1, c, 7, 3, generator=random) for name, c in channels.items()}
    content = torch.rand(1, 16, 6, 5, generator=random)

    def gram(features: Tensor) -> Tensor:
        _, c, h, w = features.shape
        flat = features.view(1, c, h * w)
        return torch.bmm(flat, flat.transpose(1, 2)).div_(h * w)

    plain = nn.functional.mse_loss(found["relu4_2"], content)
    for name in ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"):
        plain = plain + 1e3 / channels[name] ** 2 * nn.functional.mse_loss(gram(found[name]), gram(target[name]))
    ours = StyleTransfer(config(), "cpu").loss(found, content, {name: gram(target[name]) for name in STYLE})
    torch.testing.assert_close(ours, plain)


def test_style_comes_nearer_and_content_stays(pair: tuple[Tensor, Tensor]) -> None:
    network, source, exemplar = random_vgg(), *pair
    image, loss = StyleTransfer(config(steps=60), "cpu").optimise(network, source, exemplar)
    first: list[float] = []
    StyleTransfer(config(steps=2), "cpu").optimise(network, source, exemplar, lambda *step: first.append(step[2]))
    assert loss < 0.2 * first[0] and image.shape == source.shape and image.abs().max() <= 1
    features, of_source, of_exemplar = (network(x, [CONTENT])[CONTENT] for x in (image, source, exemplar))
    assert (features - of_source).square().mean() < (of_exemplar - of_source).square().mean()


def test_no_style_leaves_the_source(pair: tuple[Tensor, Tensor]) -> None:
    image, loss = StyleTransfer(config(style=0, steps=3), "cpu").optimise(random_vgg(), *pair)
    torch.testing.assert_close(image, pair[0])
    assert loss == 0


def test_published_budgets_take_the_published_steps() -> None:
    assert StyleTransfer(config(), "cpu").steps == 200
    published = load_config("quick", {"inversion.budget": "published"}, method="style-transfer")
    assert StyleTransfer(published, "cpu").steps == 500


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"stepz": 3}, "options.stepz: style-transfer knows"),
        ({"steps": 0}, "at least 1"),
        ({"style": -1}, "at least 0"),
    ],
)
def test_options_are_checked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        StyleTransfer(config(**options), "cpu")


def convolutions(kind: str, widths: dict[int, tuple[int, int, int]]) -> dict[str, Tensor]:
    random, tensors = torch.Generator().manual_seed(len(kind)), {}
    for number, (inputs, outputs, side) in widths.items():
        weight = torch.randn(outputs, inputs, side, side, generator=random) * (2 / (inputs * side**2)) ** 0.5
        tensors |= {f"{number}.weight": weight, f"{number}.bias": torch.randn(outputs, generator=random) * 0.1}
    return tensors


def encoder() -> dict[str, Tensor]:
    widths = {0: (3, 3, 1), 2: (3, 4, 3), 5: (4, 4, 3), 9: (4, 8, 3), 12: (8, 8, 3), 16: (8, 12, 3), 19: (12, 12, 3)}
    return convolutions("encoder", widths | {22: (12, 12, 3), 25: (12, 12, 3), 29: (12, 16, 3)})


def decoder() -> dict[str, Tensor]:
    widths = {1: (16, 12, 3), 5: (12, 12, 3), 8: (12, 12, 3), 11: (12, 12, 3), 14: (12, 8, 3), 18: (8, 8, 3)}
    return convolutions("decoders", widths | {21: (8, 4, 3), 25: (4, 4, 3), 28: (4, 3, 3)})


def sequential(tensors: dict[str, Tensor], steps: tuple[int | str, ...]) -> nn.Sequential:
    """The public port's network: padding, convolutions and what is between them are entries of their own."""
    layers: list[nn.Module] = []
    for step in steps:
        if step == "relu":
            layers.append(nn.ReLU())
        elif step == "pool":
            layers.append(nn.MaxPool2d((2, 2), (2, 2), (0, 0), ceil_mode=True))
        elif step == "up":
            layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
        else:
            outputs, inputs, side, _ = tensors[f"{step}.weight"].shape
            if side == 3:
                layers.append(nn.ReflectionPad2d((1, 1, 1, 1)))
            layers.append(nn.Conv2d(inputs, outputs, side))
    network = nn.Sequential(*layers)
    network.load_state_dict(tensors)  # the numbers of the file are the entries' places
    return network


@pytest.mark.parametrize(("tensors", "steps", "inputs"), [(encoder(), ENCODER, 3), (decoder(), DECODER, 16)])
def test_both_networks_are_those_of_the_public_port(tensors: Any, steps: Any, inputs: int) -> None:
    x = torch.rand(1, inputs, 18, 18, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(chain(tensors, steps, x), sequential(tensors, steps)(x).detach())


def test_adain_takes_the_moments_of_the_style() -> None:
    x, y = (torch.rand(1, 5, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    found = adain(x, 3 * y + 1)
    torch.testing.assert_close(found.mean((2, 3)), (3 * y + 1).mean((2, 3)))
    torch.testing.assert_close(found.std((2, 3)), (3 * y + 1).std((2, 3)), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(adain(x, x), x, rtol=1e-3, atol=1e-3)


def test_files_of_the_user_make_a_result(tmp_path: Path, pair: tuple[Tensor, Tensor]) -> None:
    files = {"encoder": tmp_path / "vgg_normalised.pth", "decoder": tmp_path / "decoder.pth"}
    for name, tensors in (("encoder", encoder()), ("decoder", decoder())):
        torch.save(tensors, files[name])
    x, y = (to_uint8(image)[0] for image in pair)
    found = AdaIN(config("adain", **{name: str(path) for name, path in files.items()}), "cpu").translate(x, y)
    assert found.image.shape == (128, 128, 3) and found.image.dtype == np.uint8 and found.image.std() > 0
    source_alone = AdaIN(config("adain", alpha=0, **{k: str(v) for k, v in files.items()}), "cpu").translate(x, y)
    assert (source_alone.image != found.image).any()
    torch.save({"1.weight": torch.zeros(2)}, files["decoder"])
    with pytest.raises(ConfigError, match=r"options.decoder: expected 1.weight of 4 axes, found \[2\]"):
        AdaIN(config("adain", **{name: str(path) for name, path in files.items()}), "cpu")
    with pytest.raises(WeightsMissing, match=r"adain: expected options.encoder, a file of .*, found none"):
        AdaIN(config("adain"), "cpu")
