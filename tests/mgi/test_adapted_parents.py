"""StyleGAN2 and PGGAN of every public layout as parents: the twin, the cut, the head, the export, a step."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from places import GOLDEN
from safetensors.torch import save_file
from torch import Tensor

from mgi.generators import load_file
from mgi.generators.styled import Linear
from mgi.generators.stylegan2 import Modulated, StyleGAN2
from mgi.training import Trainer, TrainingConfig, TrainingError
from mgi.training.adapted import Adapted, AdaptedPGGAN, AdaptedStyleGAN2, adapted
from mgi.training.adapted.pggan import start_of_pggan
from mgi.training.adapted.stylegan2 import start_of_stylegan2
from mgi.training.card import card_text
from mgi.training.parents import licence_of, require_fit, start_of

LAYOUTS = ("pggan_mganprior", "pggan_genforce", "pggan_ganzoo", "stylegan2_rosinality", "stylegan2_genforce")


def wide_stylegan2() -> StyleGAN2:
    """4 x 4 to 32 x 32, whose weights are large enough that codes and styles show."""
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random) / max(1, int(torch.tensor(shape[1:]).prod())) ** 0.5

    def modulated(outputs: int, kernel: int, size: int | None) -> Modulated:
        noise = None if size is None else torch.randn(size, size, generator=random)
        strength = None if size is None else torch.tensor(0.1)
        return Modulated(
            draw(outputs, 16, kernel, kernel), Linear(draw(16, 8), torch.ones(16)), draw(outputs), noise, strength
        )

    mapping = [Linear(1.5 * draw(8, 8), 0.1 * draw(8)) for _ in range(2)]
    convolutions = [modulated(16, 3, size) for size in (4, 8, 8, 16, 16, 32, 32)]
    to_rgb = [modulated(3, 1, None) for _ in range(4)]
    return StyleGAN2("wide", mapping, 2 * draw(1, 16, 4, 4), convolutions, to_rgb, None)


def starting(parent: Any, resolution: int) -> dict[str, Tensor]:
    make = start_of_stylegan2 if isinstance(parent, StyleGAN2) else start_of_pggan
    return make(parent, resolution, pictures=16)


def codes(parent: Any, count: int = 4) -> Tensor:
    return torch.randn(count, parent.z_dim, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_twin_of_the_whole_parent_makes_its_pictures(layout: str, tmp_path: Path) -> None:
    parent: Any = load_file(GOLDEN / f"{layout}.pth")
    twin: Any = adapted(starting(parent, parent.resolution))
    assert isinstance(twin, AdaptedPGGAN if "pggan" in layout else AdaptedStyleGAN2)
    z = codes(parent)
    expected = parent(z)
    torch.testing.assert_close(twin(z), expected, rtol=1e-3, atol=1e-4)
    save_file(twin.exported().tensors, tmp_path / "whole.safetensors")
    torch.testing.assert_close(load_file(tmp_path / "whole.safetensors")(z), expected, rtol=1e-3, atol=1e-4)  # type: ignore[operator]


@pytest.mark.parametrize("layout", [*LAYOUTS, "wide"])
def test_a_cut_ends_in_the_parents_features_and_the_best_linear_head(layout: str, tmp_path: Path) -> None:
    parent: Any = wide_stylegan2() if layout == "wide" else load_file(GOLDEN / f"{layout}.pth")
    rows = parent.resolution // 2
    twin: Any = adapted(starting(parent, rows))
    save_file(twin.exported().tensors, tmp_path / "cut.safetensors")
    found: Any = load_file(tmp_path / "cut.safetensors")
    z = torch.randn(16, parent.z_dim, generator=torch.Generator().manual_seed(0))
    assert found.resolution == twin.resolution == rows
    torch.testing.assert_close(found(z), twin(z), rtol=1e-3, atol=1e-4)
    styled = isinstance(parent, StyleGAN2)
    w = [parent.to_w(z)] if styled else [z]
    of_found = [found.to_w(z)] if styled else [z]
    layer = found.layers
    features = parent.head(w[0], layer)
    torch.testing.assert_close(found.head(of_found[0], layer), features, rtol=1e-3, atol=1e-4)

    target = F.avg_pool2d(parent(z), 2)
    so_far = features[:, -3:] if styled else torch.zeros_like(target)
    x = features[:, :-3] if styled else features * torch.rsqrt(features.square().mean(1, keepdim=True) + 1e-8)
    x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
    flat, wanted = (t.permute(0, 2, 3, 1).flatten(0, 2).double() for t in (x, target - so_far))
    best = float((flat @ torch.linalg.lstsq(flat, wanted).solution - wanted).square().mean())
    residual = float((twin(z).detach() - target).square().mean())
    assert residual <= 1.01 * best + 1e-9
    assert best < float(target.var())


@pytest.mark.parametrize("layout", ["wide", "pggan_mganprior", "pggan_ganzoo"])
def test_every_parameter_learns_unless_it_is_frozen(layout: str) -> None:
    parent: Any = wide_stylegan2() if layout == "wide" else load_file(GOLDEN / f"{layout}.pth")
    rows = parent.resolution
    values = {"resolution": 32, "base_channels": 16, "z_dim": parent.z_dim, "batch": 4, "discriminator": "residual"}
    start = starting(parent, rows)
    if rows != 32:
        pytest.skip("trainings begin at 32 rows")
    for freeze, below in (([], 0), (["mapping", "input", "styles", "stem"], 16)):
        config = TrainingConfig.adapting("p", "", **values, freeze=freeze, freeze_below=below, head_start=0)
        trainer = Trainer(config, start=start)
        before = copy.deepcopy(dict(trainer.generator.named_parameters()))
        trainer.step(torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1)) - 0.5)
        for name, parameter in trainer.generator.named_parameters():
            part, made = trainer.generator.part(name), trainer.generator.rows(name)
            assert torch.equal(before[name], parameter) == (part in freeze or made < below), name
        torch.testing.assert_close(trainer.sample(codes(parent)), trainer.average(codes(parent)))


def test_averages_are_computed_with_the_weights_that_they_have_now() -> None:
    """Weights that do not learn may be kept transformed; those of the running average change all the same."""
    twin = AdaptedStyleGAN2(starting(wide_stylegan2(), 32)).requires_grad_(False)
    z = torch.randn(64, 8, generator=torch.Generator().manual_seed(3))
    before = twin(z)
    with torch.no_grad():
        twin.get_parameter("conv6_weight").neg_()
    assert not torch.allclose(before, twin(z))
    again = AdaptedStyleGAN2({**starting(wide_stylegan2(), 32), "conv6_weight": twin.get_parameter("conv6_weight")})
    torch.testing.assert_close(twin(z), again(z).detach(), rtol=1e-3, atol=1e-4)


def test_truncation_goes_towards_the_mean_code() -> None:
    parent = wide_stylegan2()
    twin = AdaptedStyleGAN2(starting(parent, 32))
    mean = parent.to_w(torch.randn(1024, 8, generator=torch.Generator().manual_seed(0))).mean(0)
    expected = parent.synthesize(0.5 * (mean + parent.to_w(codes(parent))))
    torch.testing.assert_close(twin(codes(parent), truncation=0.5).detach(), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("layout", ["wide", "pggan_mganprior"])
def test_features_are_those_of_every_resolution(layout: str) -> None:
    parent: Any = wide_stylegan2() if layout == "wide" else load_file(GOLDEN / f"{layout}.pth")
    twin = adapted(starting(parent, parent.resolution))
    rows = [int(features.shape[-1]) for features in twin.features(codes(parent))]
    assert rows == [8 << number for number in range(len(rows))] and rows[-1] == parent.resolution
    assert isinstance(twin, Adapted)
    if isinstance(parent, StyleGAN2):  # the plain twin begins anew for every layer
        w = parent.to_w(codes(parent))
        for layer, features in zip(range(3, parent.layers + 1, 2), twin.features(codes(parent)), strict=True):
            torch.testing.assert_close(features.detach(), parent.head(w, layer), rtol=1e-4, atol=1e-5)


def test_the_zoos_own_pggan_can_be_a_parent_and_others_are_named(tmp_path: Path) -> None:
    tensors, sha256 = start_of("kaokore", 32)
    assert adapted(tensors).resolution == 32 and len(sha256) == 64
    require_fit("kaokore", 64, 128)
    with pytest.raises(TrainingError, match="its codes have 128 numbers, expected 512; use --set z_dim=128"):
        require_fit("kaokore", 64, 512)
    with pytest.raises(TrainingError, match="it has 8, 16, 32, 64, asked for 128"):
        start_of("kaokore", 128)
    stylegan = str(GOLDEN / "stylegan_genforce.pth")
    for ask in (lambda: start_of(stylegan, 32), lambda: require_fit(stylegan, 32, 512)):
        with pytest.raises(TrainingError, match="expected one of MobileStyleGAN, StyleGAN2, PGGAN, found a StyleGAN"):
            ask()


def test_the_licence_of_a_parent_is_the_zoos_or_its_files(tmp_path: Path) -> None:
    assert "non-commercial use only" in licence_of("mobile-stylegan-ffhq")
    assert licence_of("kaokore-64").startswith("non-commercial use only: adapted from")
    assert licence_of(str(GOLDEN / "pggan_ganzoo.pth")) == ""  # a pickle has no card
    path = tmp_path / "mine.safetensors"
    save_file({"x": torch.zeros(1)}, path, {"licence": "CC0", "parent_licence": "CC BY-NC"})
    assert licence_of(str(path)) == "CC0; derived from: CC BY-NC"
    facts: dict[str, Any] = {
        "config": TrainingConfig.adapting("mine", "12").model_dump(),
        "best": {"score": 1.0, "step": 2},
        **dict.fromkeys(("trained_on", "held_out", "images_seen", "samples", "licence", "network", "kind"), 1),
        "real": 1.0,
    }
    assert "holds for this one, too:\nnot stated in its file." in card_text(facts)
    assert "too:\nCC BY-NC." in card_text(facts | {"parent_licence": "CC BY-NC"})
