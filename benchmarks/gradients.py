"""Gradients of depthwise convolutions and of styles, two ways each: `python -m benchmarks.gradients`. Quote ratios.

The first table is `mgi.depthwise` against PyTorch's own gradient, at the shapes of EfficientNet-Lite0 with pictures of
128 pixels. The others multiply a style into the features or into the weight of a 1x1 convolution, forward and back:
with frozen weights as inversion has them, and with weights that learn as a training has them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.depthwise import FrozenDepthwise
from mgi.generators.fused import PointwiseActivation
from mgi.memory import keep_freed_memory

DEPTHWISE = ((96, 65, 3, 2), (144, 32, 3, 1), (144, 35, 5, 2), (240, 16, 5, 1), (480, 8, 3, 1), (672, 11, 5, 2))
"""Channels, rows, size of the kernel, stride."""
FROZEN = ((20, 8, 512), (20, 16, 512), (4, 32, 512), (1, 64, 512), (1, 128, 256), (1, 256, 128))
"""Pictures, rows, channels that come out; as many go in."""
LEARNING = ((16, 8, 512, 512), (16, 16, 512, 512), (16, 32, 512, 512), (16, 64, 128, 512), (16, 128, 64, 256))
"""Pictures, rows, channels that go in and come out."""
REPEATS = 5
Two = tuple[Callable[[], object], Callable[[], object]]


def main() -> None:
    """Print the tables."""
    keep_freed_memory()
    for precision in (torch.float32, torch.bfloat16):
        print(f"{torch.get_num_threads()} threads, {precision}")
        _head("channels x rows, kernel, stride", "gradient by PyTorch", "by the flipped kernel")
        for channels, rows, size, stride in DEPTHWISE:
            _row(f"{channels} x {rows}, {size}, {stride}", *_depthwise(channels, rows, size, stride, precision))
        _head("frozen: pictures x channels x rows", "style into the weight", "into the features")
        for pictures, rows, channels in FROZEN:
            _row(f"{pictures} x {channels} x {rows}", *_frozen(pictures, rows, channels, precision))
        _head("learning: pictures x channels x rows", "style into the weight", "into the features")
        for pictures, rows, inputs, outputs in LEARNING:
            name = f"{pictures} x {inputs} (to {outputs}) x {rows}"
            _row(name, *_learning(pictures, rows, inputs, outputs, precision))
        print()


def _head(what: str, first: str, second: str) -> None:
    print(f"\n| {what} | {first}, ms | {second}, ms | ratio |\n|---|---|---|---|")


def _depthwise(channels: int, rows: int, size: int, stride: int, precision: torch.dtype) -> Two:
    x = _features(16, channels, rows, precision).requires_grad_()
    weight, padding = torch.randn(channels, 1, size, size, dtype=precision), 0 if stride == 2 else size // 2
    own = F.conv2d(x, weight, stride=stride, padding=padding, groups=channels)
    ours: Tensor = FrozenDepthwise.apply(x, weight, None, stride, padding)
    gradient = torch.randn_like(own)
    return tuple(partial(torch.autograd.grad, y, x, gradient, retain_graph=True) for y in (own, ours))


def _frozen(pictures: int, rows: int, channels: int, precision: torch.dtype) -> Two:
    features, positions = _features(pictures, channels, rows, precision).requires_grad_(), rows * rows
    weight, style = torch.randn(channels, channels, dtype=precision), torch.randn(pictures, channels, dtype=precision)
    bias, noise = torch.randn(channels, dtype=precision), torch.randn(positions, 1, dtype=precision)
    gradient = torch.randn(pictures, positions, channels, dtype=precision)
    style.requires_grad_()

    def into_weight() -> Tensor:
        x = features.permute(0, 2, 3, 1).reshape(pictures, positions, channels)
        return PointwiseActivation.apply(x, weight * style[:, None], bias, noise)

    def into_features() -> Tensor:
        x = (features * style[:, :, None, None]).permute(0, 2, 3, 1).reshape(1, pictures * positions, channels)
        y: Tensor = PointwiseActivation.apply(x, weight[None], bias, noise.repeat(pictures, 1))
        return y.view(pictures, positions, channels)

    return tuple(partial(_both, f, (features, style), gradient) for f in (into_weight, into_features))


def _learning(pictures: int, rows: int, inputs: int, outputs: int, precision: torch.dtype) -> Two:
    features, positions = _features(pictures, inputs, rows, precision).requires_grad_(), rows * rows
    weight, style = torch.randn(outputs, inputs, requires_grad=True), torch.randn(pictures, inputs, requires_grad=True)
    gradient = torch.randn(pictures, positions, outputs, dtype=precision)

    def into_weight() -> Tensor:
        x = features.permute(0, 2, 3, 1).reshape(pictures, positions, inputs)
        return x @ (weight * style[:, None]).transpose(1, 2).to(precision)

    def into_features() -> Tensor:
        x = (features * style[:, :, None, None].to(precision)).permute(0, 2, 3, 1)
        return F.linear(x.reshape(pictures, positions, inputs), weight.to(precision))

    return tuple(partial(_both, f, (features, weight, style), gradient) for f in (into_weight, into_features))


def _both(make: Callable[[], Tensor], inputs: tuple[Tensor, ...], gradient: Tensor) -> None:
    torch.autograd.grad(make(), inputs, gradient)


def _features(pictures: int, channels: int, rows: int, precision: torch.dtype) -> Tensor:
    x = torch.randn(pictures, channels, rows, rows, dtype=precision)
    return x.contiguous(memory_format=torch.channels_last)


def _row(name: str, first: Callable[[], object], second: Callable[[], object]) -> None:
    best = [float("inf"), float("inf")]
    for _ in range(REPEATS):
        for number, run in enumerate((first, second)):
            began = time.perf_counter()
            run()
            best[number] = min(best[number], 1e3 * (time.perf_counter() - began))
    print(f"| {name} | {best[0]:.1f} | {best[1]:.1f} | {best[1] / best[0]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
