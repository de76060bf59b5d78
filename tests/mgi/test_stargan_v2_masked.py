"""StarGAN v2 with w_hpf above 0 equals the public code: masks of a face's features, pictures, and every loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from released import GOLDEN, filled
from small_systems import drawing_of, small
from test_stargan_v2 import assert_losses, batch, checkpoint, parameters, translator
from torch import Tensor

from mgi.config import ConfigError
from mgi.systems.base import Batch, Guide, System
from mgi.systems.face_alignment import FaceAlignment, Norm, masks_of, read_landmarks
from mgi.systems.files import TranslatorFacts, read_system, write_system
from mgi.systems.registry import system_of
from mgi.systems.stargan_networks import Generator
from mgi.systems.trainer import SystemTrainer, started

SIZE = 128


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    with np.load(GOLDEN / "stargan_v2_masked.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def weights_of(layout: dict[str, list[int]]) -> dict[str, Tensor]:
    """Those that the public code was given."""
    found = filled({key: shape for key, shape in layout.items() if not key.endswith("hpf.filter")})
    return {key: tensor - 0.6 if key.endswith("l0.bias") else tensor for key, tensor in found.items()}


@pytest.fixture(scope="module")
def wing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the public code has it: a state dict with more than the network, beside other things."""
    file = tmp_path_factory.mktemp("wing") / "wing.ckpt"
    layout = {f"fan.{key}": list(tensor.shape) for key, tensor in FaceAlignment().state_dict().items()}
    tensors = {key.removeprefix("fan."): tensor for key, tensor in weights_of(layout).items()}
    torch.save({"state_dict": {**tensors, "m1.other": torch.zeros(2)}, "epoch": 60}, file)
    return file


@pytest.fixture(scope="module")
def system(wing: Path) -> System:
    values = {"size": SIZE, "width": 4, "domains": ("f", "m"), "diversity_weight": 2.0, "w_hpf": 1}
    config = system_of("stargan-v2").config_type.model_validate({**values, "landmarks": str(wing)})
    found = started(system_of("stargan-v2"), config)
    layout = {key: list(tensor.shape) for key, tensor in found.state_dict().items()}
    missing, unknown = found.load_state_dict(weights_of(layout), strict=False)
    assert missing == ["generator.hpf.filter"] and not unknown
    return found


def given_to_both() -> Batch:
    return batch(SIZE, last=1)


def test_published_sizes() -> None:
    with torch.device("meta"):
        assert parameters(Generator(256, 64, w_hpf=1)) == 43_467_395
        assert parameters(FaceAlignment()) == 6_333_603


def test_heat_maps_and_masks_are_those_of_the_public_code(system: Any, golden: dict[str, Tensor]) -> None:
    given = given_to_both().a
    with torch.no_grad():
        heat = system.fan(given)
    torch.testing.assert_close(heat[..., ::16, ::16], golden["heat"][:, :-1], rtol=1e-4, atol=1e-4)
    found = torch.cat(system.fan.masks(given), 1)
    torch.testing.assert_close(found[..., ::8, ::8], golden["masks"], rtol=1e-3, atol=1e-3)
    assert found.shape == (2, 2, 256, 256)


def test_every_rule_of_the_masks_is_that_of_the_public_code(golden: dict[str, Tensor]) -> None:
    sparse = torch.rand(1, 98, 256, 256, generator=torch.Generator().manual_seed(5)) ** 400
    torch.testing.assert_close(torch.cat(masks_of(sparse), 1)[..., ::8, ::8], golden["made"])


def test_eyes_are_masked_and_the_jaw_is_not() -> None:
    for point, shown in ((62, (True, True)), (16, (True, False)), (3, (False, False)), (80, (True, False))):
        heat = torch.zeros(1, 98, 256, 256)
        heat[0, point, 100, 100] = 1
        assert tuple(bool(mask.any()) for mask in masks_of(heat)) == shown, point


def test_pictures_are_those_of_the_public_code(system: System, golden: dict[str, Tensor]) -> None:
    given = given_to_both()
    with torch.no_grad():
        style = system.style_encoder(given.b, given.b_domain)
        found = system.translate(given.a, Guide(given.b, domain=given.b_domain), torch.Generator())
        bare = system.generator(given.a, style)
    torch.testing.assert_close(found[..., ::8, ::8], golden["reference"], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(bare[..., ::8, ::8], golden["bare"], rtol=1e-4, atol=1e-5)
    assert float((found - bare).abs().mean()) > 0.05


def test_losses_are_those_of_the_public_code(system: System, golden: dict[str, Tensor]) -> None:
    assert_losses(system, given_to_both(), golden, 1e-3, of_diversity=1e-2)


def test_it_learns_is_kept_and_read_again(wing: Path, tmp_path: Path) -> None:
    config = small("stargan-v2", w_hpf=1, landmarks=str(wing))
    trainer = SystemTrainer(started(system_of("stargan-v2"), config), 1)
    before = {key: tensor.clone() for key, tensor in trainer.system.fan.state_dict().items()}
    trainer.step(drawing_of("stargan-v2", config).batch(0))
    for network in (trainer.system.fan, trainer.best_weights.fan):
        assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())
    file = tmp_path / "translator.safetensors"
    facts = TranslatorFacts("stargan-v2", config.model_dump(mode="json"), "", 1, 12, 0.5, "", "")
    write_system(file, trainer.best_weights, facts)
    wing_free, _ = read_system(file)
    given = drawing_of("stargan-v2", config).batch(1)
    guide = Guide(given.b, domain=given.b_domain)
    with torch.no_grad():
        ours, theirs = (s.translate(given.a, guide, torch.Generator()) for s in (trainer.best_weights, wing_free))
    # Half precision moves a few places of heat maps over the edge of 0.1 below which they do not count.
    assert float(((theirs - ours).abs() > 0.05).float().mean()) < 0.02


def test_the_checkpoint_of_faces_translates(system: System, golden: dict[str, Tensor], tmp_path: Path) -> None:
    file = checkpoint(system, tmp_path / "100000_nets_ema.ckpt", "module.")
    ours = translator(checkpoint=str(file), domain=1)
    assert (ours.picture_size, ours.system.config.width, ours.system.config.w_hpf) == (SIZE, 4, 1.0)
    given = given_to_both()
    with torch.no_grad():
        found = ours.system.translate(given.a, Guide(given.b, domain=given.b_domain), torch.Generator())
    torch.testing.assert_close(found[..., ::8, ::8], golden["reference"], rtol=1e-3, atol=1e-3)


def test_statistics_stay_while_others_learn() -> None:
    norm = Norm(3).train()
    x = torch.randn(4, 3, 5, 5)
    torch.testing.assert_close(norm(x), x, rtol=1e-4, atol=1e-4)
    assert int(norm.num_batches_tracked or 0) == 0


def test_landmarks_are_asked_for_in_one_line(wing: Path, tmp_path: Path) -> None:
    tensors = torch.load(wing, weights_only=True)["state_dict"]
    for name, content in {
        "other.ckpt": {"state_dict": {"bn1.bias": torch.zeros(3)}},
        "odd.ckpt": {**tensors, "l0.bias": torch.zeros(68)},
    }.items():
        torch.save(content, tmp_path / name)
    (tmp_path / "text.ckpt").write_text("nonsense")
    for file, said in (
        ("", "landmarks: expected the public code's wing.ckpt, which w_hpf above 0 needs, found none"),
        (tmp_path / "no.ckpt", r"found no file .*no\.ckpt"),
        (tmp_path / "text.ckpt", r"expected the public code's wing\.ckpt, found .*text\.ckpt"),
        (tmp_path / "other.ckpt", r"conv1\.conv\.weight: expected \[64, 6, 7, 7\], found none"),
        (tmp_path / "odd.ckpt", r"l0\.bias: expected \[99\], found \[68\]"),
    ):
        with pytest.raises(ConfigError, match=said) as error:
            read_landmarks(str(file))
        assert "\n" not in str(error.value)
    with pytest.raises(ConfigError, match="which w_hpf above 0 needs, found none"):
        started(system_of("stargan-v2"), small("stargan-v2", w_hpf=1))
