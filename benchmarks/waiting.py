"""How PyTorch's threads should wait for each other: `python -m benchmarks.waiting [--seconds 10]`.

Steps through VGG-16 and back on two threads, for each number of spins before a thread sleeps (GOMP_SPINCOUNT), alone
and beside a process that keeps one core busy; the first row again at the end says how much the machine itself wavers.
Each in a fresh process, since the number is read once. Printed: steps per second and CPU milliseconds per step.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

SPINS = ("", "0", "1000", "10000", "")
"""Empty: as libgomp does by itself."""
BUSY = "while True: pass"


def main() -> None:
    """Print the table; `--measure` is one of its cells."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--measure", action="store_true")
    arguments = parser.parse_args()
    if arguments.measure:
        print(*measure(arguments.seconds))
        return
    print("| spins | alone: steps/s | CPU ms/step | beside another: steps/s | CPU ms/step |")
    print("|---|---|---|---|---|")
    for spins in SPINS:
        cells = [cell(spins, arguments.seconds, others) for others in (0, 1)]
        print(f"| {spins or 'default'} | " + " | ".join(cells) + " |", flush=True)


def cell(spins: str, seconds: float, others: int) -> str:
    """Both numbers, from a process of its own."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_NUM_THREADS")
    }
    # Empty counts as said, so that mgi leaves it alone; libgomp takes what is no number for its default.
    environment["GOMP_SPINCOUNT"] = spins or "default"
    busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(others)]
    try:
        command = [sys.executable, "-m", "benchmarks.waiting", "--measure", "--seconds", str(seconds)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    finally:
        for process in busy:
            process.kill()
            process.wait()
    rate, cost = done.stdout.split()
    return f"{float(rate):.2f} | {float(cost):.0f}"


def measure(seconds: float) -> tuple[float, float]:
    """Steps per second, and CPU milliseconds per step."""
    import torch

    from mgi.features import load_backbone

    torch.set_num_threads(2)
    backbone, layers = load_backbone("vgg16-imagenet"), ("relu1_2", "relu2_2", "relu3_3")
    image = torch.randn(1, 3, 128, 128, requires_grad=True)

    def step() -> None:
        torch.stack([found.square().mean() for found in backbone(image, layers).values()]).sum().backward()

    step()
    began, cpu, steps = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - began < seconds:
        step()
        steps += 1
    return steps / (time.perf_counter() - began), 1000 * (time.process_time() - cpu) / steps


if __name__ == "__main__":
    main()
