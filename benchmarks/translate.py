"""What a lane-step costs, and why: `python -m benchmarks.translate [--json FILE]`.

All figures come from one run on one machine, best of several repeats, so quote the ratios; the absolute times hold only
for the machine that the header names. `--pair` also translates one pair of `examples/` and reports its stages and the
peak memory of the process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--pair", action="store_true", help="also translate one pair with the embedded profile")
    parser.add_argument("--json", type=Path, help="write all figures to this file as well")
    parser.add_argument("--fresh-pages", action="store_true", help=argparse.SUPPRESS)  # the child of this benchmark
    arguments = parser.parse_args()
    figures = steps(arguments.repeats, keep=not arguments.fresh_pages)
    if arguments.fresh_pages:
        print(json.dumps(figures))
        return
    child = [sys.executable, "-m", "benchmarks.translate", "--fresh-pages", "--repeats", str(arguments.repeats)]
    done = subprocess.run(child, capture_output=True, text=True, check=True, cwd=ROOT)
    fresh = json.loads(done.stdout.splitlines()[-1])
    figures["fresh_pages_fast_s"] = fresh["fast_s"]
    figures["fresh_pages_plain_s"] = fresh["plain_s"]
    if arguments.pair:
        figures.update(one_pair())
    show(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def steps(repeats: int, keep: bool) -> dict[str, Any]:
    """Seconds of forward + backward of the tail after layer 5 at 1024, by variant."""
    from mgi.memory import keep_freed_memory

    kept = keep_freed_memory() if keep else False
    import torch
    from torch import Tensor

    from mgi import weights
    from mgi.features import load_backbone
    from mgi.inversion.latents import detached
    from mgi.inversion.objective import Objective
    from mgi.inversion.spaces import build_space
    from mgi.pairs import Hypothesis
    from mgi.profiles import load_config
    from mgi.statistics import shipped
    from mgi.statistics.latents import read_latents

    generator = weights.load_generator("mobile-stylegan-ffhq")
    z = torch.randn(1, generator.z_dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        w = generator.to_w(z)
        features = generator.head(w, 5)
    styles = w[:, None].repeat(1, generator.tail_styles(5), 1)

    def step(down: int) -> None:
        f, s = features.clone().requires_grad_(), styles.clone().requires_grad_()
        generator.render(f, 5, s, down=down).square().mean().backward()

    found: dict[str, Any] = {"threads": torch.get_num_threads(), "torch": torch.__version__, "pages_kept": kept}
    found["fast_s"] = best(lambda: step(1), repeats)
    generator.fast = False
    found["plain_s"] = best(lambda: step(1), repeats)
    generator.fast = True
    if not keep:
        return found
    found["fast_down4_s"] = best(lambda: step(4), repeats)
    config = load_config("embedded").inversion
    path = shipped("mobile-stylegan-ffhq")
    assert path is not None
    space = build_space(generator, config, *read_latents(path))
    hypothesis = Hypothesis(5, 10)
    latents = space.start(hypothesis, 0)
    objective = Objective(torch.zeros(1, 3, 256, 256), config, load_backbone(config.perceptual_backbone))

    def lane_step(coarse: bool) -> Tensor:
        trial = detached(latents)
        for t in trial.values():
            t.requires_grad_()
        loss, _ = objective(space.images([trial], 5, 4, coarse=coarse), [trial])
        loss.sum().backward()
        return loss

    found["lane_step_s"] = best(lambda: lane_step(False), repeats)
    found["lane_step_coarse_s"] = best(lambda: lane_step(True), repeats)
    return found


def one_pair() -> dict[str, float]:
    """Seconds and peak memory for one pair of the examples under the embedded profile, in a separate process."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "-m", "flows.cli", "translate", "examples/sources", "examples/exemplars"]
        command += ["--out", str(run), "--pairing", "product", "--limit", "1", "--workers", "0"]
        start = time.perf_counter()
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return {"pair_s": seconds, "pair_peak_gib": peak}


def best(run: Callable[[], object], repeats: int) -> float:
    """The shortest of `repeats` runs after a warm-up: the one least disturbed by other work on the machine."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def show(figures: dict[str, Any]) -> None:
    """The figures as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"{platform.machine()}, {os.cpu_count()} cores, {figures['threads']} threads, torch {figures['torch']}"
    )
    table.add_column("MobileStyleGAN-1024, fp32, one lane")
    table.add_column("seconds", justify="right")
    table.add_column("against the first row", justify="right")
    base = figures["fresh_pages_plain_s"]
    rows = [
        ("forward + backward, plain modules, fresh pages", "fresh_pages_plain_s"),
        ("forward + backward, plain modules, kept pages", "plain_s"),
        ("forward + backward, fused, fresh pages", "fresh_pages_fast_s"),
        ("forward + backward, fused, kept pages (what runs)", "fast_s"),
        ("the same, through down4 without the last wavelet step", "fast_down4_s"),
        ("whole lane-step L05N10 with VGG loss, full image", "lane_step_s"),
        ("whole lane-step L05N10 with VGG loss, coarse head", "lane_step_coarse_s"),
        ("one pair, embedded profile, from command to report", "pair_s"),
    ]
    for label, key in rows:
        if key in figures:
            table.add_row(label, f"{figures[key]:.2f}", f"{figures[key] / base:.2f}")
    console = Console()
    console.print(table)
    if "pair_peak_gib" in figures:
        console.print(f"peak memory of that process: {figures['pair_peak_gib']:.2f} GiB")


if __name__ == "__main__":
    main()
