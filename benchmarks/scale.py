"""What a run of many pairs costs with a method that computes nothing: files, memory and time, and how they grow.

    python -m benchmarks.scale [--pairs 500] [--hypotheses 20] [--finished] [--keep FOLDER]

The pipeline runs with a stub method, in a process of its own, for so many pairs and for four times as many; then `mgi
status` looks at the run and `mgi resume` finds nothing left. Times are processor seconds of the process and of the
kernel for it, since other work on the machine shows less in them; wall-clock time stands beside. With `--finished` the
runs are not computed but written as finished ones, in a minute for 70,000 pairs: what deciding costs does not need
hours. The last line is what each further hypothesis took, without what starting costs. Set TMPDIR to a file system in
memory (such as /dev/shm) to leave the disk out: ext4 without a journal takes 0.5 ms to make a file where many were
removed within the last minutes, and five files are made and removed for a hypothesis.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

STUB = Path(__file__).resolve().parents[1] / "tests" / "stub"


class Cost(NamedTuple):
    """One command: seconds on the clock, seconds of the processor, and the most memory it held in MiB."""

    wall: float
    cpu: float
    memory: float


def main() -> None:
    """Measure both sizes and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--hypotheses", type=int, default=20)
    parser.add_argument("--finished", action="store_true", help="write finished runs instead of computing them")
    parser.add_argument("--keep", type=Path, help="folder for the runs, which stay there")
    arguments = parser.parse_args()
    sys.path.insert(0, str(STUB))
    os.environ.update(MGI_METHOD_FACTORY="stub_method:load", PYTHONPATH=f"{STUB}{os.pathsep}{STUB.parents[1]}")
    print("| pairs | files per pair | KiB per pair | " + " | ".join(_columns(arguments.finished)) + " |")
    print("|" + "---|" * (len(_columns(arguments.finished)) + 3))
    with tempfile.TemporaryDirectory() as temporary:
        seconds = {}
        for pairs in (arguments.pairs, 4 * arguments.pairs):
            folder = (arguments.keep or Path(temporary)) / str(pairs)
            row, seconds[pairs] = _row(folder, pairs, arguments.hypotheses, arguments.finished)
            print(row, flush=True)
    (few, before), (many, after) = seconds.items()
    if not arguments.finished:
        each = 1000 * (after - before) / (many - few) / arguments.hypotheses
        print(f"each hypothesis from {few} to {many} pairs: {each:.2f} ms")


def _columns(finished: bool) -> list[str]:
    run = [] if finished else ["run: CPU ms per hypothesis", "run: MiB"]
    return [*run, "status: s (CPU s)", "nothing left: s (CPU s)", "nothing left: MiB"]


def _row(folder: Path, pairs: int, hypotheses: int, finished: bool) -> tuple[str, float]:
    """A row of the table, and the processor seconds of the run."""
    from large_run import make_finished, make_pictures, translate_arguments

    cells, seconds = list[str](), 0.0
    if finished:
        run = make_finished(folder, pairs, hypotheses)
    else:
        run = make_pictures(folder, pairs, hypotheses) / "run"
        cost = _mgi(*translate_arguments(folder, run))
        seconds = cost.cpu
        cells = [f"{1000 * cost.cpu / pairs / hypotheses:.2f}", f"{cost.memory:.0f}"]
    files = [path.stat() for path in run.rglob("*") if path.is_file()]
    _mgi("resume", str(run), "--workers", "0")  # looks at all pictures for the first time
    status, again = _mgi("status", str(run)), _mgi("resume", str(run), "--workers", "0")
    cells += [f"{cost.wall:.2f} ({cost.cpu:.2f})" for cost in (status, again)]
    size = sum(file.st_size for file in files) / 1024
    row = f"| {pairs} | {len(files) / pairs:.2f} | {size / pairs:.1f} | {' | '.join(cells)} | {again.memory:.0f} |"
    return row, seconds


def _mgi(*arguments: str) -> Cost:
    """Run a command, which must succeed, and return what it took."""
    start = time.perf_counter()
    quiet = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_WRONLY, 0) for stream in (1, 2)]
    command = [sys.executable, "-c", "from flows.cli import main; main()", *arguments]
    child = os.posix_spawn(sys.executable, command, os.environ, file_actions=quiet)
    _, status, used = os.wait4(child, 0)
    if status:
        raise SystemExit(f"mgi {' '.join(arguments)}: ended with {os.waitstatus_to_exitcode(status)}; try it by hand")
    return Cost(time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
