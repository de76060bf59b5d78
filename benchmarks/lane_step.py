"""One lane-step of the inversion for the benchmarks, and the best that the machine can do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any


def lane_step(
    generator: Any,
    hypothesis: Any,
    lanes: int = 1,
    coarse: bool = False,
    device: str = "cpu",
    precision: Any = "fp32",
    compile: bool = False,
) -> Callable[[], None]:
    """One forward and backward pass of the published loss through the engine; the generator is on the device."""
    import torch

    from mgi.config import Inversion
    from mgi.generators import is_styled
    from mgi.inversion.compiled import compiled
    from mgi.inversion.objective import Objective
    from mgi.inversion.spaces import build_space
    from mgi.statistics import shipped
    from mgi.statistics.latents import read_latents

    settings = Inversion()  # the published loss: L2 + 0.001 x L1 of relu3_3 at 256 pixels
    path = shipped("mobile-stylegan-ffhq") if is_styled(generator) else None
    space = build_space(generator, settings, *(part.to(device) for part in (read_latents(path) if path else ())))
    size = min(256, generator.resolution)
    target = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    backbone: Any = vgg16(device, precision)
    render: Any = space.images
    if compile:
        backbone, render = compiled(backbone), compiled(render)
    objective = Objective(target.to(device), settings, backbone)
    starts = [space.start(hypothesis, seed, device) for seed in range(lanes)]
    for start in starts:
        for tensor in start.values():
            tensor.requires_grad_()

    def run() -> None:
        images = render(starts, hypothesis.composing_layer, generator.resolution // size, coarse=coarse)
        objective(images, starts, [0] * lanes)[0].sum().backward()

    return run


def vgg16(device: str, precision: Any) -> Any:
    """VGG-16; with random weights where the real ones are not, which costs the same: only times are measured."""
    import torch

    from mgi.features import VGG, load_backbone
    from mgi.weights import WeightsError

    try:
        return load_backbone("vgg16-imagenet", device, precision)
    except WeightsError as error:
        print(f"note: VGG-16 has random weights here ({error})")
    random, tensors, inputs = torch.Generator().manual_seed(0), {}, 3
    for block, (count, outputs) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), start=1):
        for index in range(1, count + 1):
            scale = (2 / (9 * inputs)) ** 0.5
            tensors[f"conv{block}_{index}.weight"] = scale * torch.randn(outputs, inputs, 3, 3, generator=random)
            tensors[f"conv{block}_{index}.bias"] = torch.zeros(outputs)
            inputs = outputs
    return VGG("random", tensors, "torchvision-rgb", precision).to(device)


def codes_in_a_loop(generator: Any, hypothesis: Any) -> Callable[[], None]:
    """The head of a step with one pass per code, and the tail once."""
    import torch

    codes = torch.randn(hypothesis.num_codes, generator.z_dim).requires_grad_()

    def run() -> None:
        features = sum(generator.head(code[None], hypothesis.composing_layer) for code in codes)
        generator.render(features, hypothesis.composing_layer).square().mean().backward()

    return run


def roofline(
    seconds: Callable[[Callable[[], object]], float],
    shapes: Sequence[tuple[int, int, int]],
    device: str = "cpu",
    precision: str = "fp32",
) -> float:
    """GFLOP/s of the fastest 3 x 3 convolution among the shapes (images, channels, rows) in the generators.

    Args:
        seconds: times a call.
    """
    import torch
    import torch.nn.functional as F

    dtype, found = torch.bfloat16 if precision == "bf16" else torch.float32, 0.0
    for batch, channels, side in shapes:
        x = torch.randn(batch, channels, side, side, device=device, dtype=dtype)
        w = torch.randn(channels, channels, 3, 3, device=device, dtype=dtype)
        x, w = (t.contiguous(memory_format=torch.channels_last) for t in (x, w))
        work = 2 * 9 * channels**2 * side**2 * batch / 1e9
        found = max(found, work / seconds(partial(F.conv2d, x, w, padding=1)))
    return found


def flops(run: Callable[[], None]) -> float:
    """GFLOP of convolutions and matrix products in a call."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops()) / 1e9
