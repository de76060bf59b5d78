"""Large generators: loading, and forward + backward against their convolutions alone.

    python -m benchmarks.generators [--resolution 1024] [--repeats 9] [--json FILE]

Random weights of the published sizes, in the public layouts, through the same readers that users' files take. The third
column is the time of every convolution of one pass, each measured alone (forward, and backward to its input: weights
are frozen) by the library's direct kernels, which Winograd may beat; the ratio says what everything else costs. The
target is at most 1.3, and loading below 2 s. Passes and convolutions take turns, so a slow moment of the machine
affects both; the times are the best of all turns and the ratio is the median over turns. "one addition" is an in-place
addition to every activation of the pass: the least that one pass over memory can cost.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.translate import best
from mgi import winograd
from mgi.generators import load_file
from mgi.memory import keep_freed_memory

Call = tuple[Callable[..., Tensor], tuple[Any, ...], dict[str, Any]]


def channels(size: int) -> int:
    """Channels of PGGAN at each resolution; StyleGAN2 has twice as many from 64 on."""
    return min(512, 16384 // size)


def pggan_state(resolution: int) -> dict[str, Tensor]:
    """Random PGGAN of the published widths, in mGANprior's layout."""
    state: dict[str, Tensor] = {}
    layers = [(512, 512, 4), (512, 512, 3)]
    for size in sizes(resolution)[1:]:
        layers += [(channels(size // 2), channels(size), 3), (channels(size), channels(size), 3)]
    for number, (before, after, kernel) in enumerate(layers):
        state[f"layer{number}.conv.weight"] = torch.randn(after, before, kernel, kernel)
        state[f"layer{number}.wscale.bias"] = torch.zeros(after)
    last = len(layers) // 2 - 1
    state[f"output{last}.conv.weight"] = torch.randn(3, layers[-1][1], 1, 1)
    state[f"output{last}.wscale.bias"] = torch.zeros(3)
    return state


def stylegan2_state(resolution: int) -> dict[str, Tensor]:
    """Random StyleGAN2 of configuration F, in the layout of stylegan2-ada-pytorch."""
    state: dict[str, Tensor] = {"mapping.w_avg": torch.zeros(512), "synthesis.b4.const": torch.randn(512, 4, 4)}
    for number in range(8):
        state[f"mapping.fc{number}.weight"] = torch.randn(512, 512) * 100
        state[f"mapping.fc{number}.bias"] = torch.zeros(512)
    for size in sizes(resolution):
        width, before = min(512, 32768 // size), min(512, 65536 // size)
        block = f"synthesis.b{size}"
        for kind, inputs in (("conv0", before), ("conv1", width)) if size > 4 else (("conv1", width),):
            state[f"{block}.{kind}.weight"] = torch.randn(width, inputs, 3, 3)
            state[f"{block}.{kind}.bias"] = torch.zeros(width)
            state[f"{block}.{kind}.noise_const"] = torch.randn(size, size)
            state[f"{block}.{kind}.noise_strength"] = torch.tensor(0.1)
            state[f"{block}.{kind}.affine.weight"] = torch.randn(inputs, 512)
            state[f"{block}.{kind}.affine.bias"] = torch.ones(inputs)
        state[f"{block}.torgb.weight"] = torch.randn(3, width, 1, 1)
        state[f"{block}.torgb.bias"] = torch.zeros(3)
        state[f"{block}.torgb.affine.weight"] = torch.randn(width, 512)
        state[f"{block}.torgb.affine.bias"] = torch.ones(width)
    return state


def sizes(resolution: int) -> list[int]:
    """4, 8, ..., resolution."""
    return [4 << step for step in range(int(math.log2(resolution)) - 1)]


@contextmanager
def recorded(calls: list[Call]) -> Iterator[None]:
    """Collect every convolution that is called inside, with its arguments: the library's own, without Winograd."""
    channels, winograd.FROM_CHANNELS = winograd.FROM_CHANNELS, sys.maxsize
    originals = {name: getattr(F, name) for name in ("conv2d", "conv_transpose2d")}

    def recorder(name: str) -> Callable[..., Tensor]:
        def call(*arguments: Any, **options: Any) -> Tensor:
            kept = tuple(a.detach() if isinstance(a, Tensor) else a for a in arguments)
            calls.append((originals[name], kept, options))
            result: Tensor = originals[name](*arguments, **options)
            return result

        return call

    for name in originals:
        setattr(F, name, recorder(name))
    try:
        yield
    finally:
        winograd.FROM_CHANNELS = channels
        for name, original in originals.items():
            setattr(F, name, original)


def measure(state: dict[str, Tensor], folder: Path, repeats: int) -> dict[str, float]:
    """Seconds to load, for a pass, and for its convolutions alone."""
    path = folder / "generator.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    start = time.perf_counter()
    generator = load_file(path)
    load_s = time.perf_counter() - start
    z = torch.randn(1, generator.z_dim).requires_grad_()

    def whole() -> None:
        torch.autograd.grad(generator(z).square().mean(), z)

    calls: list[Call] = []
    with recorded(calls):
        generator(z)
    ones: list[Callable[[], object]] = []
    activations: list[Tensor] = []
    for function, (x, *others), options in calls:
        x = x.requires_grad_()
        output = function(x, *others, **options).detach()
        activations.append(output)
        gradient = torch.empty_like(output)

        def one(function=function, x=x, others=others, options=options, gradient=gradient) -> None:
            torch.autograd.grad(function(x, *others, **options), x, gradient)

        ones.append(one)

    def additions() -> None:
        for activation in activations:
            activation.add_(1e-9)

    turns = []
    for _ in range(repeats):
        turns.append([best(whole, 1), sum(best(one, 1) for one in ones), best(additions, 1)])
    whole_s, alone_s, addition_s = (min(times) for times in zip(*turns, strict=True))
    ratio = statistics.median(turn[0] / turn[1] for turn in turns)
    return {
        "load_s": load_s,
        "forward_backward_s": whole_s,
        "convolutions_s": alone_s,
        "one_addition_s": addition_s,
        "ratio": ratio,
    }


def main() -> None:
    """Measure both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--resolution", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    arguments = parser.parse_args()
    keep_freed_memory()
    rows = {}
    print(f"{'generator':<18}{'load s':>8}{'fwd+bwd s':>11}{'convolutions s':>16}{'one addition s':>16}{'ratio':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for name, make in (("PGGAN", pggan_state), ("StyleGAN2", stylegan2_state)):
            row = measure(make(arguments.resolution), Path(folder), arguments.repeats)
            rows[f"{name}-{arguments.resolution}"] = row
            numbers = f"{row['load_s']:>8.2f}{row['forward_backward_s']:>11.2f}{row['convolutions_s']:>16.2f}"
            numbers += f"{row['one_addition_s']:>16.3f}{row['ratio']:>7.2f}"
            print(f"{name}-{arguments.resolution:<12}{numbers}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
