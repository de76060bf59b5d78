"""The inversion on a GPU: `python -m benchmarks.gpu [--json FILE]`.

Lane-steps of PGGAN-1024 at L=6, N=30 (published widths, random weights) and of MobileStyleGAN-1024 at L=5, N=10 by
precision, number of lanes in one pass, and with compiled passes; the share of the device's fastest convolution; the
paper's whole search (20 hypotheses) for one image, and images per minute for several at once. `--device cpu
--resolution 64` shows on any machine that everything here runs; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.lane_step import flops, lane_step, roofline, vgg16

LAYERS, CODES = (4, 5, 6, 7, 8), (10, 20, 30, 40)
STEPS, RUNGS = 400, ("40:8", "120:3")
NAMES = ("resolution", "lanes", "generators", "precisions", "images", "search", "steps", "rungs", "compile", "profile")
SHAPES = ((30, 512, 16), (8, 128, 256), (30, 512, 32))


def main() -> None:
    """Measure and print."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--resolution", type=int, default=1024)
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--generators", nargs="+", default=["pggan", "mobile"], choices=["pggan", "mobile"])
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--images", type=int, nargs="*", default=[1, 4], help="inverted together; none: no search")
    parser.add_argument("--search", nargs="+", default=["fp32", "bf16"], metavar="PRECISION", help="of the search")
    parser.add_argument("--profile", action="store_true", help="where the time of a lane-step goes, by kernel")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--rungs", nargs="*", default=list(RUNGS))
    parser.add_argument("--compile", action="store_true", help="also compiled passes: takes minutes more")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("expected a GPU, found none; benchmarks.inversion measures CPUs")
    options = {name: getattr(arguments, name) for name in NAMES}
    figures = measure(arguments.device, **options)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def measure(
    device: str,
    resolution: int = 1024,
    lanes: Any = (1, 2, 4, 8),
    generators: Any = ("pggan", "mobile"),
    precisions: Any = ("fp32", "bf16"),
    images: Any = (1, 4),
    search: Any = ("fp32", "bf16"),
    steps: int = STEPS,
    rungs: Any = RUNGS,
    compile: bool = False,
    profile: bool = False,
) -> dict[str, Any]:
    """All tables -> figures by name."""
    import torch

    from benchmarks.generators import pggan_state
    from mgi.generators.layouts.mganprior import read_mganprior
    from mgi.pairs import Hypothesis
    from mgi.weights import load_generator

    name = torch.cuda.get_device_name() if device == "cuda" else "no GPU: a test of the benchmark"
    shapes = [(1 if device == "cpu" else batch, channels, side) for batch, channels, side in SHAPES]
    peaks = {
        precision: roofline(partial(timed, device=device), shapes, device, precision) / 1e3
        for precision in ("fp32", "bf16")
    }
    figures: dict[str, Any] = {"device": name, "roofline_tflops": peaks}
    print(
        f"\n{name}; fastest convolution, TFLOP/s: {peaks['fp32']:.1f} in fp32 as it is set, {peaks['bf16']:.1f} in bf16"
    )
    print(f"{'lane-step':<30}{'precision':>10}{'lanes':>7}{'compiled':>10}{'s per lane':>12}{'roofline':>10}{'GiB':>7}")
    torch.manual_seed(0)
    for precision in precisions:
        measured: list[tuple[str, Any, Hypothesis]] = []
        if "pggan" in generators:
            pggan = read_mganprior(pggan_state(resolution)).to(device).set_precision(precision)
            measured.append((f"PGGAN-{resolution} L06N30", pggan, Hypothesis(6, 30)))
        if "mobile" in generators:
            mobile: Any = load_generator("mobile-stylegan-ffhq", device)
            measured.append(("MobileStyleGAN-1024 L05N10", mobile.set_precision(precision), Hypothesis(5, 10)))
        for title, generator, hypothesis in measured:
            for count, fast in [(count, fast) for fast in (False, True)[: 1 + compile] for count in lanes]:
                run = lane_step(generator, hypothesis, count, False, device, precision, fast)
                began = time.perf_counter()
                try:
                    seconds = timed(run, device) / count
                except torch.OutOfMemoryError:
                    print(f"{title:<30}{precision:>10}{count:>7}{'':>10}{'no memory':>12}")
                    break
                work = 0.0 if fast else flops(run) / 1e3 / count
                share = f"{work / seconds / peaks[precision]:.0%}" if work else ""
                memory = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else 0.0
                print(
                    f"{title:<30}{precision:>10}{count:>7}{'yes' if fast else 'no':>10}{seconds:>12.4f}{share:>10}"
                    f"{memory:>7.1f}" + (f"  after {time.perf_counter() - began:.0f} s" if fast else ""),
                    flush=True,
                )
                figures[f"{title} {precision} {count}{' compiled' if fast else ''}"] = seconds
                if profile and not fast and count == lanes[-1]:
                    print_kernels(run, device)
        if precision in search and "pggan" in generators:
            figures |= measured_search(pggan, precision, device, images, steps, rungs)
    return figures


def measured_search(
    generator: Any, precision: str, device: str, images: Sequence[int], steps: int, rungs: Any
) -> dict[str, float]:
    """Seconds for all hypotheses of one image, and images per minute for several together."""
    import torch

    from mgi.config import Inversion
    from mgi.inversion.objective import Objective
    from mgi.inversion.search import search
    from mgi.inversion.solver import LaneState, Solver
    from mgi.inversion.spaces import build_space
    from mgi.pairs import Hypothesis
    from mgi.translators.inversion.engine import batch_pixels

    hypotheses = [Hypothesis(layer, count) for layer in LAYERS for count in CODES if layer <= generator.layers]
    settings = Inversion(steps=steps, rungs=tuple(rungs), rank_by="loss", schedule="ramp")
    space = build_space(generator, settings)
    size = min(256, generator.resolution)
    backbone = vgg16(device, precision)
    at_once = max(1, batch_pixels(device) // generator.resolution**2)
    figures = {}
    for count in images:
        targets = torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
        solver = Solver(
            space, Objective(targets.to(device), settings, backbone), settings, generator.resolution // size, at_once
        )
        states = [
            LaneState(hypothesis, picture, space.start(hypothesis, picture, device))
            for picture in range(count)
            for hypothesis in hypotheses
        ]
        began = time.perf_counter()
        search(solver, states, settings)
        wait(device)
        seconds = time.perf_counter() - began
        figures[f"search {precision} {count}"] = seconds
        print(
            f"search, {len(hypotheses)} hypotheses x {steps} steps, rungs {' '.join(rungs) or 'none'}, {precision}, "
            f"{count} together: {seconds / count:.1f} s per image, {60 * count / seconds:.2f} images per minute",
            flush=True,
        )
    return figures


def print_kernels(run: Callable[[], object], device: str, rows: int = 14) -> None:
    """The kernels that take most of a call."""
    from torch.profiler import ProfilerActivity, profile

    activities = [ProfilerActivity.CUDA if device == "cuda" else ProfilerActivity.CPU]
    with profile(activities=activities) as found:
        run()
        wait(device)
    key = "self_device_time_total" if device == "cuda" else "self_cpu_time_total"
    events = sorted(found.key_averages(), key=lambda event: -getattr(event, key))
    whole = sum(getattr(event, key) for event in events)
    for event in events[:rows]:
        print(f"    {getattr(event, key) / whole:>5.0%} {event.count:>5} x {event.key[:110]}")


def timed(run: Callable[[], object], device: str, repeats: int = 5) -> float:
    """Seconds of the best of several calls, after two that are not counted."""
    import torch

    for _ in range(2):
        run()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    found = []
    for _ in range(repeats):
        wait(device)
        began = time.perf_counter()
        run()
        wait(device)
        found.append(time.perf_counter() - began)
    return min(found)


def wait(device: str) -> None:
    """Wait until the device has done its work."""
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
