"""A GPU computes what a CPU computes, up to rounding: what runs on every machine, once more on CUDA (skipped without).

Convolutions in full fp32 here: by default cuDNN rounds their inputs to TF32, which is right for images and too coarse
for comparisons.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from metric_views import domain, narrow_lpips, narrow_vgg, noisier, pictures
from places import GOLDEN
from published import random_vgg
from tiny_features import smooth_pictures, tiny_vgg
from torch import Tensor

from mgi.config import Inversion, Oeft, Warp
from mgi.correspondence import warp_exemplar
from mgi.correspondence.oeft import fine_tuned_warp
from mgi.generators import is_styled, load_file
from mgi.inversion.compiled import compiled
from mgi.inversion.objective import Objective
from mgi.inversion.prior import measure_prior
from mgi.inversion.search import search
from mgi.inversion.solver import LaneState, Solver
from mgi.inversion.spaces import build_space
from mgi.metrics.base import Views
from mgi.metrics.l2 import L2
from mgi.metrics.lpips import LPIPS as LPIPS_METRIC
from mgi.metrics.psnr import PSNR
from mgi.metrics.sifid import SIFID
from mgi.metrics.spatial_fd import SPATIAL_FD
from mgi.metrics.ssim import SSIM
from mgi.metrics.structure import STRUCTURE
from mgi.metrics.style import STYLE
from mgi.pairs import Hypothesis
from mgi.training import Trainer, TrainingConfig
from mgi.weights import WeightsError, load_generator

if not torch.cuda.is_available():
    pytest.skip("needs a GPU", allow_module_level=True)

CHECKPOINTS = sorted(path.stem for path in GOLDEN.glob("*.pth"))
WARP = Warp(layers=("relu1_2", "relu2_1"), feature_size=32, image_size=64, colours="full", patch=3)
TINY_TRAINING: dict[str, Any] = {
    "resolution": 32,
    "base_channels": 16,
    "z_dim": 8,
    "batch": 4,
    "discriminator": "residual",
    "reconstruction": 0.0,
}


@pytest.fixture(autouse=True)
def full_fp32() -> Iterator[None]:
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


def on(device: str, images: Tensor) -> Tensor:
    return images.detach().to(device)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_generators_and_their_gradients(name: str) -> None:
    found = []
    for device in ("cpu", "cuda"):
        generator = load_file(GOLDEN / f"{name}.pth", device)
        z = torch.randn(2, generator.z_dim, generator=torch.Generator().manual_seed(0)).to(device).requires_grad_()
        image = generator(z)
        (gradient,) = torch.autograd.grad(image.square().mean(), z)
        found.append((image.detach().cpu(), gradient.cpu()))
    torch.testing.assert_close(found[1][0], found[0][0], rtol=1e-4, atol=2e-4)
    scale = float(found[0][1].abs().max())
    torch.testing.assert_close(found[1][1], found[0][1], rtol=1e-3, atol=1e-3 * scale)


def test_the_shipped_generator() -> None:
    try:
        slow, fast = load_generator("mobile-stylegan-ffhq"), load_generator("mobile-stylegan-ffhq", "cuda")
    except WeightsError as error:
        pytest.skip(str(error))
    z = torch.randn(1, slow.z_dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, found = slow(z), fast(z.cuda()).cpu()
        rounded = copy.copy(fast).set_precision("bf16")(z.cuda()).cpu()  # type: ignore[attr-defined]
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=2e-3)
    assert float((rounded - expected).abs().mean()) < 0.05


def losses(name: str, device: str, precision: str = "fp32", compile: bool = False, **changes: object) -> list[float]:
    """The loss curves of four lanes, one after the other."""
    generator: Any = load_file(GOLDEN / f"{name}.pth", device)
    if precision != "fp32":
        generator.set_precision(precision)
    prior = None
    if is_styled(generator):
        styled: Any = load_file(GOLDEN / f"{name}.pth")
        prior = measure_prior(styled.to_w, styled.z_dim, samples=1000).to(device)
    settings = Inversion.model_validate({"steps": 6, "perceptual_layers": ["relu2_2"], **changes})
    space: Any = build_space(generator, settings, prior)
    target = 2 * torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(3)) - 1
    objective = Objective(on(device, target), settings, random_vgg().to(device))
    lanes = [
        LaneState(Hypothesis(2, count), 0, space.start(Hypothesis(2, count), count, device)) for count in (1, 2, 3, 4)
    ]
    images = compiled(space.images) if compile else None
    search(Solver(space, objective, settings, generator.resolution // 32, 4, images=images), lanes, settings)
    return [loss for lane in lanes for loss in lane.losses]


@pytest.mark.parametrize("name", ["pggan_mganprior", "stylegan2_rosinality", "stylegan_genforce"])
def test_lanes_go_the_same_way(name: str) -> None:
    assert losses(name, "cuda") == pytest.approx(losses(name, "cpu"), rel=0.02)


@pytest.mark.filterwarnings("ignore:TensorFloat32", "ignore:.torch.jit.script")
def test_lanes_in_bf16_and_compiled_go_nearly_the_same_way() -> None:
    expected = losses("pggan_mganprior", "cuda")
    assert losses("pggan_mganprior", "cuda", "bf16") == pytest.approx(expected, rel=0.15)
    assert losses("pggan_mganprior", "cuda", compile=True) == pytest.approx(expected, rel=0.02)


def test_short_memory_halves_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real allocation that does not fit, not one that a test raises."""
    generator = load_file(GOLDEN / "pggan_mganprior.pth", "cuda")
    settings = Inversion(steps=2, perceptual_weight=0.0)
    space = build_space(generator, settings)
    size = generator.resolution
    target = torch.zeros(1, 3, size, size, device="cuda")
    lanes = [LaneState(Hypothesis(2, 2), 0, space.start(Hypothesis(2, 2), seed, "cuda")) for seed in range(4)]

    def hungry(latents: Any, *rest: Any, **options: Any) -> Tensor:
        if len(latents) > 1:
            torch.empty(2**40, dtype=torch.float32, device="cuda")  # 4 TiB
        return space.images(latents, *rest, **options)

    solver = Solver(space, Objective(target, settings, None), settings, 1, 4, images=hungry)
    solver.advance(lanes, 2, lambda *_: None)
    assert solver.lanes_at_once == 1
    assert all(len(lane.losses) == 2 for lane in lanes)


@pytest.mark.parametrize("patch", [1, 3])
@pytest.mark.parametrize("colours", ["full", "pooled"])
def test_warps(patch: int, colours: str) -> None:
    settings = WARP.model_copy(update={"patch": patch, "colours": colours})
    source, exemplar = smooth_pictures(2)
    expected = warp_exemplar(source, exemplar, tiny_vgg(), settings)
    found = warp_exemplar(source.cuda(), exemplar.cuda(), tiny_vgg().to("cuda"), settings)
    # A few positions may prefer another neighbour: their correlations differ in the last bits, times the temperature.
    assert float((found.cpu() - expected).abs().mean()) < 1e-3


def test_fine_tuned_warps() -> None:
    source, exemplar = smooth_pictures(2)
    settings = Oeft(
        iterations=3,
        positions=100,
        image_size=32,
        feature_size=16,
        perceptual_weight=1.0,
        context_weight=1.0,
        perceptual_layers=("relu1_1", "relu2_1"),
        context_layers=("relu2_1",),
    )
    warps = [
        fine_tuned_warp(on(device, source), on(device, exemplar), tiny_vgg().to(device), WARP, settings, [1, 2])
        for device in ("cpu", "cuda")
    ]
    assert float((warps[1].warp.cpu() - warps[0].warp).abs().mean()) < 0.02
    assert torch.isfinite(warps[1].warp).all()


@pytest.mark.parametrize(
    "metric", [L2, PSNR, SSIM, STYLE, STRUCTURE, SPATIAL_FD, SIFID, LPIPS_METRIC], ids=lambda metric: metric.name
)
def test_metrics(metric: Any) -> None:
    values = []
    for device in ("cpu", "cuda"):
        x, y = pictures(2)
        x, y, other = x[None].to(device), y[None].to(device), noisier(x[None], 0.3).to(device)

        def network(name: str, device: str = device) -> Any:
            return copy.deepcopy(narrow_lpips() if name.startswith("lpips") else narrow_vgg()).to(device)

        views = Views(x, source=other, exemplar=y, warp=other, domain=domain())
        values.append(metric(views, network))
    assert values[1] == pytest.approx(values[0], rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.filterwarnings(
    "ignore:The .grad attribute", "ignore:TensorFloat32", "ignore:.torch.jit.script"
)  # torch.compile's own
def test_training_steps(precision: str, compile: bool) -> None:
    images = 2 * torch.rand(16, 3, 32, 32, generator=torch.Generator().manual_seed(1)) - 1
    config = TrainingConfig(**TINY_TRAINING, precision=precision)
    trainer = Trainer(config, "cuda", compile=compile)
    batches = trainer.batches(len(images))
    found = [trainer.step(images[next(batches)]) for _ in range(4)]
    assert all(losses.finite for losses in found)
    reference = Trainer(config.model_copy(update={"precision": "fp32"}))
    first = reference.step(images[next(reference.batches(len(images)))])
    assert found[0].discriminator == pytest.approx(first.discriminator, rel=1e-3 if precision == "fp32" else 0.1)
    again = Trainer(config, "cuda")
    again.load_state(copy.deepcopy(trainer.state()))
    assert again.sample(torch.zeros(1, 8)).isfinite().all()
