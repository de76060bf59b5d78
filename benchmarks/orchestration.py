"""What a run costs beside the method: plan, store, markers, scheduling, with a stub method that computes nothing.

    python -m benchmarks.orchestration [--pairs 256] [--hypotheses 3] [--json]

Each row is one `mgi translate` of the whole pipeline in a process of its own, timed from first unit to last (the
start of the interpreter and of a cluster are shown beside it: they are paid once, however many pairs there are), and
the same command again, which finds nothing to compute (the fastest of three). The target is below 50 ms per pair.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

STUB = Path(__file__).resolve().parents[1] / "tests" / "stub"
TARGET_MS = 50.0

WAYS: dict[str, tuple[list[str], dict[str, str]]] = {
    "in process": (["--workers", "0"], {}),
    "2 Dask workers": (["--workers", "2"], {}),
    "in process, Prefect": (["--workers", "0"], {"MGI_PREFECT": "always"}),
}
"""{row: (options, environment)}."""


def main() -> None:
    """Measure every way and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=256)
    parser.add_argument("--hypotheses", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        inputs = make_inputs(Path(folder), arguments.pairs, arguments.hypotheses)
        for name, (options, environment) in WAYS.items():
            rows.append({"way": name, **measure(inputs, Path(folder) / name.replace(" ", "-"), options, environment)})
    if arguments.json:
        print(json.dumps({"pairs": arguments.pairs, "hypotheses": arguments.hypotheses, "rows": rows}, indent=1))
        return
    print(
        f"{arguments.pairs} pairs x {arguments.hypotheses} hypotheses, stub method; target {TARGET_MS:.0f} ms per pair"
    )
    print(f"{'way':<22}{'ms per pair':>12}{'start s':>9}{'report s':>10}{'whole command s':>17}{'again s':>9}")
    for row in rows:
        numbers = f"{row['ms_per_pair']:>12.1f}{row['start_s']:>9.1f}{row['report_s']:>10.1f}{row['command_s']:>17.1f}"
        numbers += f"{row['again_s']:>9.2f}"
        print(f"{row['way']:<22}{numbers}")


def make_inputs(folder: Path, pairs: int, hypotheses: int) -> Path:
    """Small noise images, and a profile whose stub lanes keep small arrays."""
    noise = np.random.default_rng(0)
    for side in ("sources", "exemplars"):
        (folder / side).mkdir()
        for number in range(pairs):
            pixels = noise.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / side / f"{number:05d}.png")
    ids = json.dumps([f"L{layer:02d}N10" for layer in range(4, 4 + hypotheses)])
    text = f'[align]\nmode = "never"\n[warp]\nimage_size = 32\n[inversion]\nhypotheses = {ids}\nsteps = 5\n'
    (folder / "stub.toml").write_text(text, encoding="utf-8")
    return folder


def measure(inputs: Path, run: Path, options: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """One run; times from its log."""
    command = [sys.executable, "-c", "from flows.cli import main; main()", "translate"]
    command += [str(inputs / "sources"), str(inputs / "exemplars"), "--out", str(run)]
    command += ["--profile", str(inputs / "stub.toml"), *options]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MGI_", "PREFECT_"))}
    stub = {"MGI_METHOD_FACTORY": "stub_method:load", "MGI_METRICS": "none", "PYTHONPATH": str(STUB)}
    began = time.time()
    command_s = _timed(command, kept | stub | environment)
    again_s = min(_timed(command, kept | stub | environment) for _ in range(3))
    from datetime import datetime

    events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    units = [datetime.fromisoformat(event["time"]).timestamp() for event in events if event["event"] == "unit"]
    pairs = len(list((run / "final").glob("*.png")))
    return {
        "ms_per_pair": 1000 * (units[-1] - units[0]) / pairs,
        "start_s": units[0] - began,
        "report_s": began + command_s - units[-1],
        "command_s": command_s,
        "again_s": again_s,
        "pairs": pairs,
    }


def _timed(command: list[str], environment: dict[str, str]) -> float:
    """Seconds of a command that must succeed."""
    began = time.time()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return time.time() - began


if __name__ == "__main__":
    main()
