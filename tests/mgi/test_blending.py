"""Layer swapping: what comes from which generator, and what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file as tensors_of
from safetensors.torch import save_file
from tiny_mobile import tiny_mobile_state
from torch import Tensor
from typer.testing import CliRunner

from flows.cli import app
from mgi.generators import GeneratorError, load_file
from mgi.generators.mobile_stylegan import MobileStyleGAN
from mgi.training.adapted import AdaptedStyleGAN2
from mgi.training.adapted.mobile import cut, with_image_head
from mgi.training.adapted.stylegan2 import start_of_stylegan2
from mgi.weights.blending import blend

GOLDEN = Path(__file__).parents[1] / "golden"


def codes() -> Tensor:
    return torch.randn(2, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    save_file(tiny_mobile_state(), tmp_path / "parent.safetensors")
    return tmp_path / "parent.safetensors"


@pytest.fixture
def adapted(tmp_path: Path) -> Path:
    """The parent at 32 x 32 with every layer moved, as after training, but for the mapping."""
    state = tiny_mobile_state()
    small = with_image_head(cut(state, 32), MobileStyleGAN(state), pictures=8)
    moved = {name: tensor if name.startswith("mapping") else 1.1 * tensor for name, tensor in small.items()}
    save_file(moved, tmp_path / "adapted.safetensors")
    return tmp_path / "adapted.safetensors"


@pytest.mark.parametrize("rows", [4, 8, 16])
def test_coarse_layers_are_the_first_ones(parent: Path, adapted: Path, tmp_path: Path, rows: int) -> None:
    """Features of the last swapped layer are the first's, all tensors behind it the second's."""
    assert blend(parent, adapted, rows, tmp_path / "b.safetensors") == ("MobileStyleGAN", 32)
    first, blended = load_file(parent), load_file(tmp_path / "b.safetensors")
    layer = {4: 1, 8: 3, 16: 5}[rows]
    features: list[Any] = [g.head(g.to_w(codes()), layer) for g in (first, blended)]  # type: ignore[attr-defined]
    assert float((features[0] - features[1]).abs().mean()) < 2e-3 * float(features[0].std())  # half precision
    found, fine, coarse = (tensors_of(path) for path in (tmp_path / "b.safetensors", adapted, parent))
    blocks = [f"synthesis.blocks.{number}.conv2.pointwise" for number in range(2)]
    for name, size in zip(blocks, (8, 16), strict=True):
        expected = coarse[name] if size <= rows else fine[name]
        assert torch.equal(found[name], expected.half())
    assert torch.equal(found["synthesis.to_image.weight"], fine["synthesis.to_image.weight"].half())
    with safe_open(tmp_path / "b.safetensors", "pt") as file:
        assert file.metadata()["blend"] == f"up to {rows} rows of parent.safetensors, the rest of adapted.safetensors"
        assert len(file.metadata()["fine_sha256"]) == 64


def test_the_adaptation_may_be_the_coarse_one(parent: Path, adapted: Path, tmp_path: Path) -> None:
    assert blend(adapted, parent, 8, tmp_path / "b.safetensors") == ("MobileStyleGAN", 64)


def test_stylegan2_of_rosinality(tmp_path: Path) -> None:
    """Both parts are the same generator: the blend is that generator."""
    path = GOLDEN / "stylegan2_rosinality.pth"
    assert blend(path, path, 16, tmp_path / "b.safetensors") == ("StyleGAN2 of rosinality", 32)
    before, after = load_file(path), load_file(tmp_path / "b.safetensors")
    z = torch.randn(2, before.z_dim, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(after(z), before(z), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("mean", [True, False])
def test_a_stylegan2_of_any_layout_fits_its_adaptation(mean: bool, tmp_path: Path) -> None:
    """Adaptations are written in rosinality's layout, whatever the parent's is."""
    path = GOLDEN / f"stylegan2_{'genforce' if mean else 'rosinality'}.pth"
    parent: Any = load_file(path)
    first = AdaptedStyleGAN2(start_of_stylegan2(parent, parent.resolution)).exported().tensors
    moved = {name: 1.1 * t if name.startswith(("conv", "to_rgb")) else t for name, t in first.items()}
    save_file(moved, tmp_path / "adapted.safetensors")
    if not mean:  # the plain state dict of a generator
        path = tmp_path / "plain.safetensors"
        save_file({name: tensor for name, tensor in first.items() if name != "latent_avg"}, path)
    assert blend(path, tmp_path / "adapted.safetensors", 8, tmp_path / "b.safetensors")[1] == 32
    blended: Any = load_file(tmp_path / "b.safetensors")
    w = parent.to_w(torch.randn(2, parent.z_dim, generator=torch.Generator().manual_seed(1)))
    torch.testing.assert_close(blended.head(w, 3), parent.head(w, 3), rtol=2e-2, atol=2e-2)
    found = tensors_of(tmp_path / "b.safetensors")
    assert torch.equal(found["convs.2.conv.weight"], moved["convs.2.conv.weight"].half())
    assert blend(tmp_path / "adapted.safetensors", path, 8, tmp_path / "c.safetensors")[1] == 32


def test_what_does_not_fit_is_named(parent: Path, adapted: Path, tmp_path: Path) -> None:
    target = tmp_path / "b.safetensors"
    other = tiny_mobile_state()
    other["synthesis.input"] = torch.zeros(1, 12, 4, 4)
    save_file(other, tmp_path / "wide.safetensors")
    table = [
        ((parent, adapted, 32), "--at 32: adapted.safetensors can be swapped at 4, 8, 16 rows"),
        ((parent, adapted, 7), "can be swapped at 4, 8, 16 rows"),
        ((tmp_path / "wide.safetensors", adapted, 8), r"synthesis.input is \[1, 12, 4, 4\] in wide"),
        ((GOLDEN / "stylegan2_rosinality.pth", adapted, 8), "expected a generator and its adaptation"),
        ((GOLDEN / "pggan_ganzoo.pth",) * 2 + (8,), "layers can be swapped in MobileStyleGAN, StyleGAN2"),
    ]
    for (first, second, rows), text in table:
        with pytest.raises(GeneratorError, match=text):
            blend(first, second, rows, target)
    assert not target.exists()


def test_the_command_says_what_it_wrote_and_overwrites_nothing(parent: Path, adapted: Path, tmp_path: Path) -> None:
    def run(*words: str | Path) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["weights", "blend", *map(str, words)])
        return result.exit_code, " ".join(result.output.split())

    target = tmp_path / "toon.safetensors"
    code, text = run(parent, adapted, target, "--at", "8")
    assert (code, "MobileStyleGAN, 32 x 32" in text) == (0, True)
    before = target.read_bytes()
    code, text = run(parent, adapted, target)
    assert (code, "exists; remove it" in text, target.read_bytes() == before) == (2, True, True)
    assert run(parent, adapted, tmp_path / "x.pt")[0] == 2
    code, text = run("nothing", adapted, tmp_path / "x.safetensors")
    assert code == 2 and "neither a generator of the zoo nor a file" in text
