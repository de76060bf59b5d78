"""PGGAN in mGANprior's layout against golden vectors; loading generators; what is said about wrong files."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mgi.generators import GeneratorError, fuse, load_file
from mgi.generators.layouts.mganprior import read_mganprior
from mgi.generators.pggan import PGGAN
from mgi.weights import load_generator

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return torch.load(GOLDEN / "pggan_mganprior.pth", weights_only=True)


@pytest.fixture
def pggan(state: dict[str, torch.Tensor]) -> PGGAN:
    return read_mganprior(state)


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    with np.load(GOLDEN / "pggan_mganprior.npz") as file:
        return {key: torch.from_numpy(file[key]) for key in file}


def test_everything_is_read_from_the_tensors(pggan: PGGAN) -> None:
    assert (pggan.z_dim, pggan.resolution, pggan.layers) == (24, 32, 8)
    assert [pggan.layer_channels(layer) for layer in (1, 4, 6, 8)] == [32, 32, 16, 8]
    assert [pggan.layer_size(layer) for layer in (1, 2, 3, 4, 5, 8)] == [4, 4, 8, 8, 16, 32]
    assert pggan.tail_styles(4) == 0
    assert not list(pggan.parameters())


def test_images_equal_golden(pggan: PGGAN, golden: dict[str, torch.Tensor]) -> None:
    torch.testing.assert_close(pggan(golden["z"]), golden["image"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layer", [2, 4, 6])
def test_composition_equals_golden(pggan: PGGAN, golden: dict[str, torch.Tensor], layer: int) -> None:
    features = pggan.compose(golden[f"layer{layer}_z"], golden[f"layer{layer}_alpha"], layer)
    torch.testing.assert_close(features, golden[f"layer{layer}_feature"], rtol=1e-4, atol=1e-5)
    images = pggan.render(features, layer)
    torch.testing.assert_close(images, golden[f"layer{layer}_image"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(pggan.render(features, layer, down=4), torch.nn.functional.avg_pool2d(images, 4))


def test_bf16_stays_close(pggan: PGGAN, golden: dict[str, torch.Tensor]) -> None:
    half = pggan.set_precision("bf16")
    images, expected = half(golden["z"]), golden["image"]
    assert images.dtype == torch.float32
    assert float((images - expected).square().mean() / expected.square().mean()) < 1e-3
    alpha = golden["layer4_alpha"].clone().requires_grad_()
    half.render(half.compose(golden["layer4_z"], alpha, 4), 4).sum().backward()
    assert alpha.grad is not None and alpha.grad.dtype == torch.float32


@pytest.mark.parametrize("layer", range(1, 9))
def test_one_code_composed_at_any_layer_is_the_plain_image(pggan: PGGAN, layer: int) -> None:
    z, alpha = torch.randn(2, 1, 24), torch.ones(2, 1, pggan.layer_channels(layer))
    features = pggan.compose(z, alpha, layer)
    assert features.shape[-1] == pggan.layer_size(layer)
    torch.testing.assert_close(pggan.render(features, layer), pggan(z[:, 0]), rtol=1e-4, atol=1e-5)


def test_fuse_by_hand() -> None:
    features = torch.tensor([2.0, 4.0]).view(1, 2, 1, 1, 1)
    alpha = torch.tensor([0.5, 0.25]).view(1, 2, 1)
    assert fuse(features, alpha).item() == 1.0  # (1 + 1) / 2


def test_other_sizes_are_read_too() -> None:
    widths = [(10, 6, 4), (6, 6, 3), (6, 5, 3), (5, 5, 3)]
    state = {}
    for index, (before, after, kernel) in enumerate(widths):
        state[f"layer{index}.conv.weight"] = torch.randn(after, before, kernel, kernel)
        state[f"layer{index}.wscale.bias"] = torch.randn(after)
    state |= {"output1.conv.weight": torch.randn(3, 5, 1, 1), "output1.wscale.bias": torch.randn(3)}
    generator = read_mganprior(state)  # without `lod` and the smaller outputs, as mGANprior itself keeps it
    assert (generator.z_dim, generator.resolution, generator.layers) == (10, 8, 4)
    assert generator(torch.randn(2, 10)).shape == (2, 3, 8, 8)


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_load_takes_files(state: dict[str, torch.Tensor], golden: dict[str, torch.Tensor], tmp_path, ending) -> None:
    path = tmp_path / f"checkpoint{ending}"
    if ending == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    torch.testing.assert_close(load_generator(path)(golden["z"]), golden["image"], rtol=1e-4, atol=1e-4)


def test_wrong_calls_are_named(pggan: PGGAN) -> None:
    with pytest.raises(GeneratorError, match="no composing layer 9; use 1 to 8"):
        pggan.compose(torch.zeros(1, 1, 24), torch.zeros(1, 1, 8), 9)
    with pytest.raises(GeneratorError, match=r"expects codes of shape \[B, 24\], found \[1, 512\]"):
        pggan(torch.zeros(1, 512))
    with pytest.raises(GeneratorError, match="latent space z only, found 'w'"):
        pggan.compose(torch.zeros(1, 1, 24), torch.zeros(1, 1, 32), 2, space="w")
    with pytest.raises(GeneratorError, match="has no styles"):
        pggan.render(torch.zeros(1, 32, 4, 4), 2, torch.zeros(1, 24))


def _without(state, key):
    return {name: tensor for name, tensor in state.items() if name != key}


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda s: _without(s, "layer3.conv.weight"), r"expected layers 0, 1, .*found \[0, 1, 2, 4, 5, 6, 7\]"),
        (lambda s: _without(s, "layer3.wscale.bias"), r"tensor layer3\.wscale\.bias is missing"),
        (lambda s: _without(s, "output3.conv.weight"), r"tensor output3\.conv\.weight is missing"),
        (
            lambda s: {**s, "layer2.conv.weight": torch.zeros(32, 9, 3, 3)},
            "layer1 gives 32 channels, what follows takes 9",
        ),
        (lambda s: {**s, "layer2.conv.weight": torch.zeros(32, 32)}, r"layer2 has weight \[32, 32\]"),
        (lambda s: {**s, "layer0.wscale.bias": torch.full((32,), torch.nan)}, "holds NaN or infinity"),
        (lambda s: {**s, "lod": torch.tensor(1.0)}, "lod is 1, expected 0"),
        (lambda s: {**s, "lod": torch.zeros(2)}, "lod has shape \\[2\\], expected one number"),
        (lambda s: {**s, f"layer{'1' * 5000}.conv.weight": torch.zeros(1)}, "found tensor"),
        (lambda s: {**s, "mapping.0": torch.zeros(1)}, "found tensor 'mapping.0'"),
    ],
)
def test_a_damaged_checkpoint_is_refused(state, damage, message: str) -> None:
    with pytest.raises(GeneratorError, match=message):
        read_mganprior(damage(state))


def test_wrong_files_are_refused_in_one_line(tmp_path: Path) -> None:
    garbage, other, script, listed = (tmp_path / name for name in ("a.pth", "b.pth", "c.pth", "d.pth"))
    garbage.write_bytes(b"not a checkpoint")
    torch.save({"fc.weight": torch.zeros(1)}, other)
    script.write_bytes(pickle.dumps(Path("x")))
    torch.save([torch.zeros(1)], listed)
    safe = tmp_path / "e.safetensors"
    safe.write_bytes(b"0" * 20)
    cases = {
        garbage: "damaged or not a plain",
        other: "unknown checkpoint layout.*found fc.weight",
        script: "damaged or not a plain",
        listed: "holds a list, expected a state dict",
        safe: "cannot be read as a checkpoint",
        tmp_path: "is a folder, not a checkpoint",
        tmp_path / "absent.pth": "neither a generator of the zoo nor a file; use one of mobile-stylegan-ffhq",
    }
    for path, message in cases.items():
        with pytest.raises(GeneratorError, match=message) as caught:
            load_generator(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(GeneratorError, match=r"absent\.pth is no file; give a generator's checkpoint"):
        load_file(tmp_path / "absent.pth")


def test_the_shipped_generator_composes_and_varies() -> None:
    generator = load_generator("kaokore")
    z = torch.randn(8, 1, generator.z_dim, generator=torch.Generator().manual_seed(0))
    images = generator(z[:, 0])
    assert images.shape == (8, 3, 64, 64)
    assert torch.isfinite(images).all()
    assert images.std(dim=0).mean() > 0.15, "all samples look alike"
    for layer in (2, 5, 8):
        features = generator.compose(z, torch.ones(8, 1, generator.layer_channels(layer)), layer)
        torch.testing.assert_close(generator.render(features, layer), images, rtol=1e-3, atol=1e-3)
