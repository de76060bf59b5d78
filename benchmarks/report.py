"""What the report of a run costs: seconds per pair, and memory over that of the report of a small run.

    python -m benchmarks.report [--pairs 1000 4000] [--hypotheses 20] [--json]

The run lies nowhere (`tests/stub/made_up_run.py`): its markers are worked out when they are read, so what is measured
is the report and not the disk, except for the files that it writes. Each size is reported in a process of its own. Time
per pair and growth of the peak memory (RSS) are what exceeds the report of 100 pairs, which has as many pictures. The
target is under 150 MiB for 70,000 pairs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SMALL = 100
CHILD = """
import json, resource, sys, time
from pathlib import Path
from made_up_run import MadeUpRun
from tasks.report.page import build_report

folder, pairs, hypotheses = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
run = MadeUpRun(Path(folder), pairs, hypotheses)
wall, cpu = time.perf_counter(), time.process_time()
build_report(run)
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
print(json.dumps({"pairs": pairs, "seconds": wall, "cpu": cpu, "peak_mib": peak}))
"""


def main() -> None:
    """Measure every size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, nargs="+", default=[1000, 4000])
    parser.add_argument("--hypotheses", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    small = measure(SMALL, arguments.hypotheses)
    rows = [small, *(measure(pairs, arguments.hypotheses) for pairs in arguments.pairs)]
    for row in rows:
        row["growth_mib"] = row["peak_mib"] - small["peak_mib"]
        row["ms_per_pair"] = 1000 * (row["cpu"] - small["cpu"]) / max(1, row["pairs"] - SMALL)
    if arguments.json:
        print(json.dumps({"hypotheses": arguments.hypotheses, "rows": rows}, indent=1))
        return
    print(f"{'pairs':>7}{'seconds':>9}{'CPU s':>8}{'CPU ms per pair':>17}{'peak MiB':>10}{'growth MiB':>12}")
    for row in rows:
        times = f"{row['seconds']:>9.1f}{row['cpu']:>8.1f}{row['ms_per_pair']:>17.2f}"
        print(f"{row['pairs']:>7}{times}{row['peak_mib']:>10.0f}{row['growth_mib']:>12.0f}", flush=True)


def measure(pairs: int, hypotheses: int) -> dict[str, Any]:
    """One report in a process of its own."""
    found = os.pathsep.join(map(str, (ROOT, ROOT / "tests" / "stub")))
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", CHILD, f"{folder}/run", str(pairs), str(hypotheses)]
        Path(folder, "run").mkdir()
        done = subprocess.run(
            command, env=os.environ | {"PYTHONPATH": found}, capture_output=True, text=True, check=False
        )
    if done.returncode != 0:
        raise SystemExit(f"{pairs} pairs x {hypotheses}: {done.stderr}")
    row: dict[str, Any] = json.loads(done.stdout)
    return row


if __name__ == "__main__":
    main()
