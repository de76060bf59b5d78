"""pSp, e4e and E2Style equal the public code at random weights; a whole checkpoint answers pictures in one pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from released import GOLDEN, filled, layouts
from torch import Tensor

from mgi.config import ConfigError
from mgi.encoders import pyramid
from mgi.encoders.codes import Codes
from mgi.encoders.files import EncoderFacts, read_encoder, write_encoder
from mgi.encoders.pyramid import Kind, PyramidEncoder
from mgi.encoders.stages import Stage, StagedEncoder
from mgi.features import ir_se50
from mgi.generators import load_file
from mgi.images import to_float, to_uint8
from mgi.profiles import load_config
from mgi.translators import Inverts
from mgi.translators.released_encoders import ReleasedEncoder
from mgi.weights import WeightsMissing

STYLES, WIDTH = 8, 64


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Widths of the golden encoders; the public code's numbers were changed in the same way."""
    monkeypatch.setattr(ir_se50, "STAGES", ((16, 3), (32, 4), (48, 14), (64, 3)))
    monkeypatch.setattr(pyramid, "WIDTH", WIDTH)
    monkeypatch.setattr(pyramid, "TAPS", {6: 32, 20: 48, 23: 64})


def pictures() -> Tensor:
    small = torch.from_numpy(np.random.RandomState(3).uniform(-1, 1, (2, 3, 16, 16)).astype(np.float32))
    return torch.nn.functional.interpolate(small, size=256, mode="bilinear")


@pytest.mark.parametrize("kind", ["psp", "e4e"])
def test_styles_and_layout_are_those_of_the_public_code(kind: Kind) -> None:
    layout = layouts()["pyramid-encoder"]
    encoder = PyramidEncoder(STYLES, kind)
    assert {key: list(x.shape) for key, x in encoder.state_dict().items()} == layout
    encoder.load_state_dict(filled(layout))
    with np.load(GOLDEN / "pyramid_encoders.npz") as file, torch.no_grad():
        expected = torch.from_numpy(file[kind])
        torch.testing.assert_close(encoder.eval()(pictures()), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "inputs"), [("first", 3), ("refine", 6)])
def test_both_stages_of_e2style_are_those_of_the_public_code(name: str, inputs: int) -> None:
    layout, x = layouts()["e2style"][name], pictures()
    stage = Stage(inputs, (4, 2, 2), WIDTH)
    assert {key: list(value.shape) for key, value in stage.state_dict().items()} == layout
    stage.load_state_dict(filled(layout))
    seen = x if inputs == 3 else torch.cat([x, x.flip(3)], dim=1)
    with np.load(GOLDEN / "e2style.npz") as file, torch.no_grad():
        torch.testing.assert_close(stage.eval()(seen), torch.from_numpy(file[name]), rtol=1e-4, atol=1e-5)


def test_later_stages_see_the_result_so_far() -> None:
    encoder, mean = StagedEncoder(3, (4, 2, 2), WIDTH).eval(), torch.randn(STYLES, WIDTH)
    x, made = pictures()[:1], []

    def synthesise(styles: Tensor) -> Tensor:
        made.append(styles)
        return styles.mean((1, 2))[:, None, None, None].expand(-1, 3, 512, 512)

    with torch.no_grad():
        found = encoder(x, mean, synthesise)
        styles = encoder.encoder_firststage(x) + mean
        for stage in encoder.encoder_refinestage_list:
            shown = torch.nn.functional.adaptive_avg_pool2d(synthesise(styles), 256)
            styles = styles + stage(torch.cat([x, shown], 1))
    torch.testing.assert_close(found, styles)
    assert len(made) == 4 and encoder.styles == STYLES


def test_the_published_encoder_has_as_many_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with torch.device("meta"):
        encoder = PyramidEncoder(18, "psp")
    names = {key.split(".")[0] for key in encoder.state_dict()}
    assert names == {"input_layer", "body", "styles", "latlayer1", "latlayer2"}
    convolutions = 3 * 4 + 4 * 5 + 11 * 6  # of the heads: 16, 32 and 64 rows come down to one place
    heads = convolutions * (512 * 512 * 9 + 512) + 18 * (512 * 512 + 512)
    assert sum(x.numel() for x in encoder.styles.parameters()) == heads


def decoder() -> dict[str, list[int]]:
    """A generator of 32 x 32 in rosinality's layout, narrow."""
    layout = {
        f"style.{i}.{kind}": [WIDTH] * (1 + (kind == "weight")) for i in range(1, 9) for kind in ("weight", "bias")
    }

    def convolution(name: str, outputs: int, side: int, bias: str, size: list[int]) -> None:
        layout[f"{name}.conv.weight"] = [1, outputs, 4, side, side]
        layout.update({f"{name}.conv.modulation.weight": [4, WIDTH], f"{name}.conv.modulation.bias": [4]})
        layout[f"{name}.{bias}"] = size
        if side == 3:
            layout[f"{name}.noise.weight"] = [1]

    layout["input.input"] = [1, 4, 4, 4]
    for name in ("conv1", *(f"convs.{i}" for i in range(6))):
        convolution(name, 4, 3, "activate.bias", [4])
    for name in ("to_rgb1", *(f"to_rgbs.{i}" for i in range(3))):
        convolution(name, 3, 1, "bias", [1, 3, 1, 1])
    for number in range(7):
        rows = 4 << ((number + 1) // 2)
        layout[f"noises.noise_{number}"] = [1, 1, rows, rows]
    return layout


def checkpoint(folder: Path, kind: str = "psp", **change: Any) -> Path:
    parts = {"encoder": filled(layouts()["pyramid-encoder"]), "decoder": filled(decoder())}
    if kind == "e2style":
        first, refine = (filled(layouts()["e2style"][name]) for name in ("first", "refine"))
        del parts["encoder"]
        parts |= {"encoder_firststage": first, "encoder_refinestage_list.0": refine}
    state = {f"{part}.{key}": x for part, tensors in parts.items() for key, x in tensors.items()}
    content = {"state_dict": state, "latent_avg": filled({"latent_avg": [STYLES, WIDTH]})["latent_avg"], **change}
    path = folder / f"{kind}_ffhq_encode.pt"
    torch.save({key: value for key, value in content.items() if value is not None}, path)
    return path


def translator(kind: str, file: Path | str, **options: Any) -> ReleasedEncoder:
    settings = {f"options.{name}": value for name, value in ({"checkpoint": str(file)} | options).items()}
    return ReleasedEncoder(load_config("quick", settings, method=kind), "cpu")


def test_a_released_checkpoint_answers_in_one_pass(tmp_path: Path) -> None:
    file, (x, y) = checkpoint(tmp_path), (to_uint8(image)[0] for image in pictures().split(1))
    psp, e4e = translator("psp", file), translator("e4e", file)
    assert isinstance(psp, Inverts) and psp.picture_size == 32
    with torch.no_grad():
        styles = psp.encoder(to_float(x)) + psp.mean
        expected = to_uint8(load_file(file).synthesize(styles).clamp(-1, 1))[0]  # type: ignore[attr-defined]
    found = psp.reconstruct(x, seed=1)
    assert found.image.shape == (32, 32, 3) and np.array_equal(found.image, expected)
    assert np.array_equal(found.warp, x) and (e4e.reconstruct(x).image != found.image).any()
    mixed = psp.translate(x, y)
    assert np.array_equal(translator("psp", file, exemplar_from=STYLES).translate(x, y).image, found.image)
    assert np.array_equal(translator("psp", file, exemplar_from=0).translate(x, y).image, psp.reconstruct(y).image)
    assert mixed.image.shape == found.image.shape


def test_a_checkpoint_of_e2style_answers_in_two_stages(tmp_path: Path) -> None:
    ours, x = translator("e2style", checkpoint(tmp_path, "e2style")), to_uint8(pictures()[:1])[0]
    assert isinstance(ours.encoder, StagedEncoder) and len(ours.encoder.encoder_refinestage_list) == 1
    with torch.no_grad():
        styles = ours.encoder(to_float(x), ours.mean, ours.generator.synthesize)
        alone = ours.encoder.encoder_firststage(to_float(x)) + ours.mean
    assert torch.equal(ours.styles_of(x), styles) and (styles - alone).abs().max() > 1e-3
    assert np.array_equal(ours.reconstruct(x).image, to_uint8(ours.generator.synthesize(styles).clamp(-1, 1))[0])
    with pytest.raises(ConfigError, match=r"expected one of psp, found no encoder\.styles\.0"):
        translator("psp", tmp_path / "e2style_ffhq_encode.pt")
    with pytest.raises(ConfigError, match=r"expected one of e2style, found no encoder_firststage\.output_layer_3"):
        translator("e2style", checkpoint(tmp_path))


def test_a_degraded_picture_is_what_the_encoder_sees(tmp_path: Path) -> None:
    settings = {"options.checkpoint": str(checkpoint(tmp_path)), "inversion.degradation": "gray", "task": "invert"}
    grey = ReleasedEncoder(load_config("quick", settings, method="psp"), "cpu")
    x = to_uint8(pictures()[:1])[0]
    found = grey.reconstruct(x)
    assert found.warp is not None and (found.warp.std(axis=2) == 0).all()
    plain = translator("psp", str(settings["options.checkpoint"]))
    assert np.array_equal(found.image, plain.reconstruct(found.warp).image)


def test_what_cannot_be_used_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        WeightsMissing, match=r"e4e: expected options.checkpoint, a file of the public code, found none"
    ):
        translator("e4e", "")
    with pytest.raises(ConfigError, match=r"options\.steps: psp knows checkpoint, exemplar_from"):
        translator("psp", checkpoint(tmp_path), steps=3)
    with pytest.raises(ConfigError, match=r"options\.checkpoint: expected one of psp, found no latent_avg"):
        translator("psp", checkpoint(tmp_path, latent_avg=None))
    with pytest.raises(ConfigError, match=r"expected one of psp, found no encoder\.styles\.0.linear.weight"):
        translator("psp", GOLDEN / "stylegan2_rosinality.pth")


@pytest.mark.parametrize("arch", ["psp", "e4e", "e2style"])
def test_one_that_was_trained_here_comes_back_from_its_file(arch: str, tmp_path: Path) -> None:
    network: torch.nn.Module
    network = Stage(3, (3, 4, 1), WIDTH) if arch == "e2style" else PyramidEncoder(STYLES, arch)  # type: ignore[arg-type]
    codes = Codes(torch.zeros(WIDTH), torch.eye(WIDTH), 1.0, STYLES)
    file = tmp_path / "encoder.safetensors"
    write_encoder(file, network, codes, EncoderFacts("g", "0" * 64, arch, 256, "", {}))
    found = read_encoder(file)
    expected = network.eval()(pictures()[:1]).detach()
    torch.testing.assert_close(found(pictures()[:1]), expected, atol=0.02, rtol=0.02)
