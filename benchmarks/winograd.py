"""Tiled against direct 3 x 3 convolutions: `python -m benchmarks.winograd`. Best of several in turns; quote ratios."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from mgi.memory import keep_freed_memory
from mgi.winograd import conv3x3, learning_conv3x3

FROZEN = ((30, 512, 16), (30, 512, 8), (1, 512, 32), (1, 256, 64), (1, 128, 128))
LEARNING = ((2, 512, 32), (2, 512, 16), (2, 256, 64))
REPEATS = 9
DIRECT = partial(F.conv2d, padding=1)


def main() -> None:
    """Print both tables."""
    keep_freed_memory()
    print(f"{torch.get_num_threads()} threads")
    print("| images x channels x rows | direct ms | Winograd ms | ratio |\n|---|---|---|---|")
    for shape in FROZEN:
        *parts, _ = _tensors(*shape)
        _row(shape, partial(DIRECT, *parts), partial(conv3x3, *parts))
    print("\nforward and backward, weights that learn\n| | | | |\n|---|---|---|---|")
    for shape in LEARNING:
        *parts, gradient = _tensors(*shape)
        for tensor in parts:
            tensor.requires_grad_()
        _row(shape, partial(_both, DIRECT, parts, gradient), partial(_both, learning_conv3x3, parts, gradient))


def _both(convolve: Callable[..., Tensor], parts: list[Tensor], gradient: Tensor) -> None:
    torch.autograd.grad(convolve(*parts), parts, gradient)


def _tensors(images: int, channels: int, rows: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x, gradient = torch.randn(2, images, channels, rows, rows)
    weight = torch.randn(channels, channels, 3, 3) / (9 * channels) ** 0.5
    x, gradient, weight = (t.contiguous(memory_format=torch.channels_last) for t in (x, gradient, weight))
    return x, weight, torch.zeros(channels), gradient


def _row(shape: Sequence[int], direct: Callable[[], object], tiled: Callable[[], object]) -> None:
    times: list[list[float]] = [[], []]
    for _ in range(REPEATS):
        for run, found in zip((direct, tiled), times, strict=True):
            began = time.perf_counter()
            run()
            found.append(1e3 * (time.perf_counter() - began))
    first, second = (min(found) for found in times)
    print(f"| {' x '.join(map(str, shape))} | {first:.0f} | {second:.0f} | {second / first:.2f} |", flush=True)


if __name__ == "__main__":
    main()
