"""The inversion engine against the published formulation: `python -m benchmarks.inversion [--json FILE]`.

Four tables from one run on one machine:

1. A lane-step of PGGAN (256 pixels, published widths, random weights; `--resolution 1024` for the papers' size) at L=6,
   N=30, and one of MobileStyleGAN at L=5, N=10, against `reference`, the published formulation in plain modules (codes
   in a loop, batch 1, nothing frozen or cached, fp32; benchmarks/reference.py), in a separate process, as a user would
   start it. Fractions of the roofline refer to the fastest convolution measured here.
2. What the parts of the engine are worth in that step.
3. The search over the paper's 20 hypotheses on `kaokore` (a trained PGGAN) and a painted face: the 20 in sequence with
   `reference` against all 20 with the engine and against successive halving, with the loss, the VGG distance and the
   spatial Frechet distance that each reaches.
4. How schedules of rungs would have done on the loss curves of table 3.

The sequential reference is timed over `--reference-steps` steps of every hypothesis and its time is that times the
number of steps; its losses are those of the engine without rungs, whose first steps are checked here to be equal.
`--whole` runs it to the end instead. If there is a GPU, `benchmarks.gpu` follows with its own tables.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.lane_step import codes_in_a_loop, flops, lane_step, roofline
from benchmarks.translate import best

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "examples/exemplars/kaokore-00007733.jpg"
LAYERS, CODES = (4, 5, 6, 7, 8), (10, 20, 30, 40)
STEPS, RUNGS = 60, ("3:5", "10:1")
SHAPES = ((30, 512, 16), (30, 512, 8), (1, 128, 128), (1, 64, 256))
EQUAL = 2e-3
"""A relative difference of the first losses that counts as rounding: Adam's first steps divide by their own size."""


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=256, help="of table 1's PGGAN")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=STEPS, help="of every hypothesis in table 3")
    parser.add_argument("--rungs", nargs="*", default=list(RUNGS), help="of table 3")
    parser.add_argument("--reference-steps", type=int, default=2, help="timed steps per hypothesis of table 3")
    parser.add_argument("--whole", action="store_true", help="run the sequential reference to its end")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="target of table 3")
    parser.add_argument("--only", choices=["step", "search"], help="one half of the benchmark")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--child", choices=["reference-step"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(reference_steps(arguments.resolution, arguments.repeats)))
        return
    figures: dict[str, Any] = {}
    if arguments.only != "search":
        figures |= steps(arguments)
    if arguments.only != "step":
        figures |= search_part(arguments)
    import torch

    if torch.cuda.is_available():
        from benchmarks.gpu import measure

        figures["gpu"] = measure("cuda")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


# ---------------------------------------------------------------------- one step


def reference_steps(resolution: int, repeats: int) -> dict[str, float]:
    """Seconds for a step of the published formulation; run in a process without the engine's memory settings."""
    import torch

    from benchmarks.generators import pggan_state
    from benchmarks.reference import ReferenceInversion, ReferencePGGAN, mobile_step, vgg_of

    torch.manual_seed(0)
    target = torch.rand(1, 3, min(resolution, 256), min(resolution, 256)) * 2 - 1
    inversion = ReferenceInversion(ReferencePGGAN(pggan_state(resolution)), vgg_of(), target, 6, 30, 0, 0.05)
    return {"pggan": best(inversion.step, repeats), "mobile": best(mobile_step(5, 10), repeats)}


def steps(arguments: argparse.Namespace) -> dict[str, Any]:
    """Tables 1 and 2."""
    command = [sys.executable, "-m", "benchmarks.inversion", "--child", "reference-step"]
    command += ["--resolution", str(arguments.resolution), "--repeats", str(max(1, arguments.repeats - 1))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    reference = json.loads(done.stdout.splitlines()[-1])

    from mgi.memory import keep_freed_memory

    keep_freed_memory()
    import torch

    from benchmarks.generators import pggan_state
    from mgi.generators.layouts.mganprior import read_mganprior
    from mgi.pairs import Hypothesis
    from mgi.weights import load_generator

    peak = roofline(partial(best, repeats=arguments.repeats + 2), SHAPES)
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}; fastest convolution {peak:.0f} GFLOP/s\n")
    print(f"{'lane-step':<34}{'seconds':>9}{'reference':>11}{'speed-up':>10}{'GFLOP':>8}{'of roofline':>13}")
    figures: dict[str, Any] = {"threads": torch.get_num_threads(), "roofline_gflops": peak}
    torch.manual_seed(0)
    size = arguments.resolution
    generators = {
        "pggan": (read_mganprior(pggan_state(size)), Hypothesis(6, 30), f"PGGAN-{size} L06N30"),
        "mobile": (load_generator("mobile-stylegan-ffhq"), Hypothesis(5, 10), "MobileStyleGAN-1024 L05N10"),
    }
    for name, (generator, hypothesis, title) in generators.items():
        run = lane_step(generator, hypothesis)
        seconds, work = best(run, arguments.repeats), flops(run)
        share = work / seconds / peak
        print(
            f"{title:<34}{seconds:>9.2f}{reference[name]:>11.2f}{reference[name] / seconds:>10.2f}{work:>8.0f}"
            f"{share:>12.0%}",
            flush=True,
        )
        figures |= {f"{name}_step_s": seconds, f"{name}_reference_step_s": reference[name], f"{name}_roofline": share}
        figures[f"{name}_step_speedup"] = reference[name] / seconds
    figures["step_speedup"] = figures["pggan_step_speedup"]
    print(f"\n{'the PGGAN step with':<54}{'seconds':>9}{'times':>7}")
    generator, hypothesis, _ = generators["pggan"]
    base = figures["pggan_step_s"]
    for label, seconds in levers(generator, hypothesis, arguments.repeats):
        print(f"{label:<54}{seconds:>9.2f}{seconds / base:>7.2f}", flush=True)
        figures[f"lever {label}"] = seconds / base
    return figures


def levers(generator: Any, hypothesis: Any, repeats: int) -> list[tuple[str, float]]:
    """(what is different, seconds per step and lane)."""
    import torch

    found = []
    found.append(("four lanes in one pass, per lane", best(lane_step(generator, hypothesis, lanes=4), repeats) / 4))
    loop = codes_in_a_loop(generator, hypothesis)
    found.append(("codes one after the other", best(loop, repeats)))
    for buffer in generator.buffers():
        buffer.requires_grad_(buffer.is_floating_point())
    found.append(("gradients of the generator's weights as well", best(lane_step(generator, hypothesis), repeats)))
    for buffer in generator.buffers():
        buffer.requires_grad_(False)
        buffer.grad = None
    run = lane_step(generator, hypothesis)

    def half() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            run()

    found.append(("bf16 autocast", best(half, max(1, repeats - 1))))
    return found


# ---------------------------------------------------------------------- the search


def search_part(arguments: argparse.Namespace) -> dict[str, Any]:
    """Tables 3 and 4."""
    from mgi.memory import keep_freed_memory

    keep_freed_memory()
    import numpy as np
    from PIL import Image
    from safetensors.torch import load_file

    from benchmarks.reference import ReferenceInversion, ReferencePGGAN, vgg_of
    from mgi import weights
    from mgi.alignment.aligner import Aligner
    from mgi.images import to_float
    from mgi.pairs import Hypothesis, lane_seed
    from mgi.profiles import load_config
    from mgi.translators import load_translator
    from mgi.translators.base import Lane

    hypotheses = [Hypothesis(layer, count) for layer in LAYERS for count in CODES]
    overrides: dict[str, Any] = {
        "inversion.hypotheses": [h.id for h in hypotheses],
        "inversion.steps": arguments.steps,
        "inversion.learning_rate": 0.05,
        "inversion.schedule": "constant",
        "inversion.perceptual_weight": 1.0,
        "inversion.perceptual_layers": ["relu3_3"],
        "inversion.perceptual_norm": "mganprior",
        "inversion.prior_weight": 0.0,
        "inversion.warm_start": 0,  # every lane is compared with its own reference
        "inversion.rank_by": "loss",  # the target is the best loss; runs rank by loss and score
        "warp.image_size": 64,
        "task": "invert",
    }
    method: Any = load_translator(load_config("quick", overrides))
    picture = np.asarray(Image.open(arguments.picture).convert("RGB"))
    align = Aligner(method.config.align, method.picture_size)
    seen = method.observe(align(picture, "picture")[0], 0)
    lanes = [Lane("picture", seen.warp, h, lane_seed(0, "picture", h.id)) for h in hypotheses]

    generator, vgg = ReferencePGGAN(load_file(weights.path("kaokore"))), vgg_of()
    target = to_float(seen.warp)
    reference_s, first_losses, reference_best = 0.0, [], float("inf")
    for lane in lanes:
        inversion = ReferenceInversion(
            generator, vgg, target, lane.hypothesis.composing_layer, lane.hypothesis.num_codes, lane.seed, 0.05
        )
        count = arguments.steps if arguments.whole else arguments.reference_steps + 1
        losses, times = [], []
        for _ in range(count):
            start = time.perf_counter()
            losses.append(inversion.step())
            times.append(time.perf_counter() - start)
        # The first step also allocates.
        reference_s += sum(times) if arguments.whole else arguments.steps * min(times[1:])
        first_losses.append(losses[: arguments.reference_steps + 1])
        reference_best = min(reference_best, *losses)

    def search(rungs: Sequence[str]) -> tuple[float, list[Any]]:
        changed = load_config("quick", {**overrides, "inversion.rungs": list(rungs)})
        start = time.perf_counter()
        results = method.with_config(changed).invert(lanes)
        return time.perf_counter() - start, results

    all_s, whole = search(())
    halved_s, halved = search(arguments.rungs)
    for losses, result in zip(first_losses, whole, strict=True):
        for ours, theirs in zip(result.arrays["loss"], losses, strict=False):
            if abs(float(ours) - theirs) > EQUAL * theirs:
                raise SystemExit(f"the engine's losses differ from the reference's: {ours} against {theirs}")
    if not arguments.whole:
        reference_best = min(result.measures["loss"] for result in whole)
    rows = []
    for name, seconds, results in (("engine, all to the end", all_s, whole), ("engine, rungs", halved_s, halved)):
        finished = [r for r in results if r.measures["finished"]]
        winner = min(finished, key=lambda r: r.measures["loss"])
        grid = winner.arrays["features"]
        distance = method.judge.domain_distance(grid, "spatial-fd")
        rows.append((name, seconds, winner.measures["loss"], winner.measures["vgg_after"], distance))
    print(f"\nsearch: {len(lanes)} hypotheses x {arguments.steps} steps, kaokore (64 x 64), {arguments.picture.name}")
    print(f"{'':<34}{'seconds':>9}{'speed-up':>10}{'best loss':>11}{'VGG':>7}{'spatial-fd':>12}")
    how = "to the end" if arguments.whole else f"timed over {arguments.reference_steps} steps each"
    print(f"{'reference, ' + how:<34}{reference_s:>9.0f}{1.0:>10.1f}{reference_best:>11.4f}")
    for name, seconds, loss, vgg_distance, distance in rows:
        print(
            f"{name:<34}{seconds:>9.1f}{reference_s / seconds:>10.1f}{loss:>11.4f}{vgg_distance:>7.3f}{distance:>12.2f}"
        )
    curves = {h.id: r.arrays["loss"] for h, r in zip(hypotheses, whole, strict=True)}
    print(f"\n{'rungs, by loss':<22}{'lane-steps':>11}{'best loss against all':>23}")
    simulated = simulate(curves, arguments.steps)
    for rungs, work, ratio in simulated:
        print(f"{' '.join(rungs) or 'none':<22}{work:>10.0%}{ratio:>23.4f}")
    return {
        "search_reference_s": reference_s,
        "search_all_s": all_s,
        "search_s": halved_s,
        "search_speedup": reference_s / halved_s,
        "search_all_speedup": reference_s / all_s,
        "best_loss_ratio": rows[1][2] / reference_best,
        "rungs": list(arguments.rungs),
        "curves": {name: [float(v) for v in curve] for name, curve in curves.items()},
    }


def simulate(curves: dict[str, Any], steps: int) -> list[tuple[tuple[str, ...], float, float]]:
    """(rungs, share of lane-steps, best loss against no rungs) for schedules that rank by the loss so far."""
    import numpy as np

    best_of_all = min(float(np.min(curve)) for curve in curves.values())
    found = []
    for rungs in ((), ("5:10",), ("5:5",), ("5:6", "15:2"), ("5:5", "15:1"), ("3:5", "10:1"), ("10:4",), ("20:2",)):
        alive, work, before = list(curves), 0, 0
        for text in (*rungs, f"{steps}:0"):
            until, keep = (int(part) for part in text.split(":"))
            work, before = work + (until - before) * len(alive), until
            if keep:
                alive = sorted(alive, key=lambda name: float(np.min(curves[name][:until])))[:keep]
        reached = min(float(np.min(curves[name])) for name in alive)
        found.append((rungs, work / (steps * len(curves)), reached / best_of_all))
    return found


if __name__ == "__main__":
    main()
