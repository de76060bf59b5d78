"""HFGI's consultation fusion equals the public code; a whole checkpoint puts back what e4e lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from released import GOLDEN, filled, layouts
from test_encoders import decoder, pictures
from torch import Tensor

from mgi.config import ConfigError
from mgi.encoders import pyramid
from mgi.encoders.consultation import Consultation
from mgi.features import ir_se50
from mgi.images import to_uint8
from mgi.profiles import load_config
from mgi.translators.hfgi import HFGI

STYLES, WIDTH, CHANNELS = 10, 64, 4


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ir_se50, "STAGES", ((16, 3), (32, 4), (48, 14), (64, 3)))
    monkeypatch.setattr(pyramid, "WIDTH", WIDTH)
    monkeypatch.setattr(pyramid, "TAPS", {6: 32, 20: 48, 23: 64})


def test_both_networks_are_those_of_the_public_code() -> None:
    layout, x = layouts()["hfgi"], pictures()
    networks = Consultation()
    assert {key: list(value.shape) for key, value in networks.state_dict().items()} == layout
    networks.load_state_dict(filled({k: v for k, v in layout.items() if "tracked" not in k}), strict=False)
    networks.eval()
    with np.load(GOLDEN / "hfgi.npz") as file, torch.no_grad():
        aligned = networks.grid_align(torch.cat([x[:1] - x[1:], x[1:]], dim=1))
        scale, shift = networks(x[:1] - x[1:], x[1:])
        torch.testing.assert_close(aligned[:, :, ::8, ::8], torch.from_numpy(file["aligned"]), rtol=1e-4, atol=1e-5)
        for found, name in ((scale, "scale"), (shift, "shift")):
            expected = torch.from_numpy(file[name])
            torch.testing.assert_close(found[:, ::37, ::8, ::8], expected, rtol=1e-4, atol=1e-5)


def generator_of_64() -> dict[str, list[int]]:
    layout = decoder()
    for number in (6, 7):
        for key in [key for key in layout if key.startswith("convs.4.")]:
            layout[key.replace("convs.4.", f"convs.{number}.")] = layout[key]
        layout[f"noises.noise_{number + 1}"] = [1, 1, 64, 64]
    for key in [key for key in layout if key.startswith("to_rgbs.2.")]:
        layout[key.replace("to_rgbs.2.", "to_rgbs.3.")] = layout[key]
    return layout


def encoder_of(styles: int) -> dict[str, list[int]]:
    layout = dict(layouts()["pyramid-encoder"])
    for number in range(8, styles):
        layout |= {key.replace("styles.7.", f"styles.{number}."): x for key, x in layout.items() if "styles.7." in key}
    return layout


def checkpoint(folder: Path, *, whole: bool = True) -> Path:
    parts = {"encoder": encoder_of(STYLES), "decoder": generator_of_64()}
    state: dict[str, Tensor] = {f"{name}.{key}": x for name, part in parts.items() for key, x in filled(part).items()}
    if whole:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            networks = Consultation(CHANNELS)
        for name, value in networks.state_dict().items():
            state[name] = value + 0.1 if name.endswith("2.bias") else value
    path = folder / "hfgi.pt"
    mean = filled({"latent_avg": [STYLES, WIDTH]})["latent_avg"]
    torch.save({"state_dict": state, "latent_avg": mean}, path)
    return path


def method(file: Path, **settings: str | float) -> HFGI:
    return HFGI(load_config("quick", {"options.checkpoint": str(file), **settings}, method="hfgi"), "cpu")


def test_features_of_64_rows_are_scaled_and_shifted(tmp_path: Path) -> None:
    found = method(checkpoint(tmp_path))
    latents, g = found.encoded(pictures()[:1]), found.generator
    nothing = torch.zeros(1, CHANNELS, 64, 64)
    torch.testing.assert_close(found.fused(latents, nothing, nothing), g.synthesize(latents), atol=1e-5, rtol=1e-5)
    by_hand = g.head(latents, 8).clone()  # the eighth layer is the first of 64 rows
    by_hand[:, :CHANNELS] = by_hand[:, :CHANNELS] * 1.5 + 0.25
    expected = g.render(by_hand, 8, latents[:, -g.tail_styles(8) :])
    torch.testing.assert_close(found.fused(latents, nothing + 0.5, nothing + 0.25), expected)


def test_a_checkpoint_answers_and_edits(tmp_path: Path) -> None:
    file, picture = checkpoint(tmp_path), to_uint8(pictures()[:1])[0]
    found = method(file)
    image = found.reconstruct(picture).image
    latents = found.styles_of(picture)
    plain = to_uint8(found.generator.synthesize(latents).clamp(-1, 1))[0]
    assert image.shape == (64, 64, 3) and (image != plain).any()
    np.save(tmp_path / "age.npy", np.random.default_rng(0).normal(size=WIDTH).astype(np.float32))
    edited = method(file, **{"options.direction": str(tmp_path / "age.npy"), "options.amount": 2.0})
    assert (edited.reconstruct(picture).image != image).any()


def test_what_is_no_checkpoint_of_hfgi_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected one of hfgi, found no grid_align\.\*; use method e4e"):
        method(checkpoint(tmp_path, whole=False))
