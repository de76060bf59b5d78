"""Whether two workers do twice as much as one, and what a cluster of many would do.

    python -m benchmarks.scaling [--units 8] [--rounds 3] [--steps N] [--pairs 70000] [--simulate-only COSTS.json]

Measured: real inversion units of the profile `quick` (warps, latents and markers in a real store, one thread each) on
a pool of one worker and on a pool of two. Both pools live for the whole benchmark and take turns, so what else the
machine does meets both; the medians of the rounds are shown. Efficiency is the time of one worker over twice that of
two. "busy" is the share of the workers' time in which they computed, which other work on the machine hardly changes;
what is missing there is what our submission costs, and the wait for the last unit. Where a unit takes longer beside
another ("unit s"), the machine's cores share something; efficiency is busy times the ratio of both. The same units in
plain processes, without Dask and our pipeline, show in turn what the machine allows.

Then what a unit costs that computes nothing: the pipeline with the stub method on a scheduler, a worker and a client in
three processes; units travel one by one, each with its marker and its lines in ledger and log. Shown are processor
milliseconds per unit of each process, which is what limits a large cluster, whatever else runs here.

Last, from these numbers, a simulation (`benchmarks/scaling_model.py`) of --pairs on 1 to 256 workers.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.scaling_model import Costs, StageTimes, simulate

ROOT = Path(__file__).resolve().parents[1]
STUB = ROOT / "tests" / "stub"
IDLE = 10.0
"""Seconds in which nothing is sent, to know what Dask's processes take anyway."""
SIMULATED = 2048
"""Pairs that are simulated; those of a larger run take as long each."""
WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def main() -> None:
    """Measure, simulate, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=8, help="inversions per round and pool")
    parser.add_argument("--rounds", type=int, default=3, help="0: only what a unit costs, and the simulation")
    parser.add_argument("--steps", type=int, help="of an inversion; the profile's own if not given")
    parser.add_argument("--pairs", type=int, default=70_000, help="of the simulated run")
    parser.add_argument("--stub-pairs", type=int, default=128, help="of the run that computes nothing")
    parser.add_argument("--simulate-only", type=Path, help="costs that an earlier call printed, as JSON")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if asked.simulate_only:
        costs = Costs(**json.loads(asked.simulate_only.read_text()))
    else:
        with tempfile.TemporaryDirectory() as folder:
            if asked.rounds:
                compare(Path(folder), asked.units, asked.rounds, asked.steps)
            costs = overhead(Path(folder), asked.stub_pairs)
    show_simulation(costs, asked.pairs)


def compare(folder: Path, units: int, rounds: int, steps: int | None) -> None:
    """One worker against two, in turns."""
    from tasks.unit import Job
    from tasks.workers.cluster import open_pool

    model = _warped(folder / "warped", units, steps)
    with (
        open_pool(1, None, lambda *beat: None) as one,
        open_pool(2, None, lambda *beat: None) as two,
        Plain(1) as plain_one,
        Plain(2) as plain_two,
    ):
        print("| workers | round | 1 worker s | 2 workers s | efficiency | busy, 1 | busy, 2 | unit s, 1 | unit s, 2 |")
        print("|---|---|---|---|---|---|---|---|---|", flush=True)
        rows: dict[str, list[tuple[float, ...]]] = {"Dask": [], "plain processes": []}
        for number in range(-1, rounds):  # the first loads networks and is not shown
            for kind, pools in zip(rows, ((one, two), (plain_one, plain_two)), strict=True):
                row: list[float] = []
                for pool, workers in zip(pools, (1, 2), strict=True):
                    copy = folder / f"round-{number}-{workers}"
                    shutil.copytree(model, copy)
                    row += _timed(pool, Job.of_folder(copy), workers)
                    shutil.rmtree(copy)
                if number >= 0:
                    (t1, b1, u1), (t2, b2, u2) = row[:3], row[3:]
                    rows[kind].append((t1, t2, t1 / (2 * t2), b1, b2, u1, u2))
                    _row(f"{kind} | {number + 1}", rows[kind][-1])
        for kind, of_kind in rows.items():
            _row(f"{kind} | median", [statistics.median(column) for column in zip(*of_kind, strict=True)])


class Plain:
    """A pool of processes and nothing else."""

    def __init__(self, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._executor = concurrent.futures.ProcessPoolExecutor(workers, context)

    def __enter__(self) -> Plain:
        return self

    def __exit__(self, *error: object) -> None:
        self._executor.shutdown()

    def run(self, function: Callable[..., Any], calls: list[Any], labels: list[Any]) -> Iterator[tuple[Any, Any]]:
        """(label, result) of every call."""
        yield from zip(labels, self._executor.map(function, *zip(*calls, strict=True)), strict=True)


def _row(name: str, values: Any) -> None:
    print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in values) + " |", flush=True)


def _timed(pool: Any, job: Any, workers: int) -> list[float]:
    """Seconds of all inversions of a run, the share in which workers computed, and the seconds of one."""
    run = job.open()
    calls = [(job, run.hypotheses, [pair]) for pair in run.pair_ids()]
    labels = [("invert", pair) for pair in run.pair_ids()]
    start = time.perf_counter()
    seconds = [result[1] for _, result in pool.run(invert_timed, calls, labels)]
    wall = time.perf_counter() - start
    return [wall, sum(seconds) / (workers * wall), sum(seconds) / len(seconds)]


def invert_timed(job: Any, hypotheses: list[str], pairs: list[str]) -> tuple[int, float]:
    """An inversion unit, with the seconds that it took where it ran."""
    from tasks.stages.invert import invert_lanes

    start = time.perf_counter()
    outcomes = invert_lanes(job, hypotheses, pairs)
    if any(outcome.failed or outcome.skipped for outcome in outcomes):
        raise SystemExit(f"expected units that compute, found {outcomes}")
    return len(outcomes), time.perf_counter() - start


def _warped(folder: Path, pairs: int, steps: int | None) -> Path:
    """A run of the profile `quick` with its warps and nothing else; one example pair under many names."""
    from flows.arguments import Arguments
    from flows.pipeline import request_of
    from tasks.method import layout_of
    from tasks.stages.plan import create_run, make_plan
    from tasks.stages.warp import warp_pair
    from tasks.unit import Job

    for side, name in (("sources", "kaokore-00003651.jpg"), ("exemplars", "kaokore-00004451.jpg")):
        (folder / side).mkdir(parents=True)
        for number in range(pairs):
            shutil.copy(ROOT / "examples" / side / name, folder / side / f"{number:04d}.jpg")
    settings = {"inversion.hypotheses": '["L04N08"]'}
    if steps is not None:
        settings |= {"inversion.steps": str(steps), "inversion.warm_start": "0"}
    folders = (str(folder / "sources"), str(folder / "exemplars"))
    request = request_of(Arguments("translate", *folders, "quick", "zip", None, 0, settings))
    store = create_run(make_plan(request), str(folder / "run"), layout_of(request.config.model_dump_json(), 1), 1)
    job = Job.of(store)
    for pair in job.open().pair_ids():
        warp_pair(job, pair)
    return folder / "run"


def overhead(folder: Path, pairs: int) -> Costs:
    """What a unit costs each process that computes nothing, by processor time."""
    import psutil

    sys.path.insert(0, str(STUB))
    os.environ.update(MGI_METHOD_FACTORY="stub_method:load", PYTHONPATH=os.pathsep.join(map(str, (STUB, ROOT))))
    from large_run import make_pictures

    import tasks.workers.pool
    from flows.arguments import Arguments
    from flows.pipeline import request_of
    from flows.progress import Lines
    from flows.session import open_session
    from flows.stages import run_stages, stage_of_shard
    from tasks.method import layout_of
    from tasks.stages.plan import create_run, make_plan
    from tasks.unit import Job

    tasks.workers.pool.group_size = lambda seconds: 1  # units of a real method travel alone
    make_pictures(folder / "stub", pairs, 3)
    folders = [str(folder / "stub" / name) for name in ("sources", "exemplars", "stub.toml")]
    request = request_of(Arguments("translate", *folders))
    run = str(folder / "stub" / "run")
    store = create_run(make_plan(request), run, layout_of(request.config.model_dump_json(), 1), 1)
    with _cluster(folder) as (address, scheduler, worker):
        processes = {"client": psutil.Process(), "scheduler": psutil.Process(scheduler)}
        quiet = Lines(lambda text: None)
        with open_session(Job.of(store), quiet, 0, address, "none") as session:
            _ = session.layout  # connect, load
            processes["worker"] = max(psutil.Process(worker).children(recursive=True), key=_cpu)
            idle = _used(processes, lambda: time.sleep(IDLE))  # Dask's processes look around all the time
            spent = _used(processes, lambda: run_stages(session, stage_of_shard))
            wall = spent["wall"]
            units = sum(session.computed.values())
    costs = Costs(*(max(0.0, spent[name] - idle[name] * wall / idle["wall"]) / units for name in Costs._fields))
    milliseconds = ", ".join(f"{name} {1000 * value:.2f}" for name, value in costs._asdict().items())
    print(f"\n{units} units that compute nothing, one by one: {units / wall:.0f} per second on this machine")
    print(f"processor ms per unit: {milliseconds}")
    print(json.dumps(costs._asdict()), flush=True)
    return costs


def _used(processes: dict[str, Any], work: Callable[[], None]) -> dict[str, float]:
    """Processor seconds of each process while something is done, and the seconds that it took."""
    before, start = {name: _cpu(process) for name, process in processes.items()}, time.perf_counter()
    work()
    spent = {name: _cpu(process) - before[name] for name, process in processes.items()}
    return {**spent, "wall": time.perf_counter() - start}


def _cpu(process: Any) -> float:
    used = process.cpu_times()
    return used.user + used.system


@contextlib.contextmanager
def _cluster(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Address and process ids of a scheduler and a worker with one thread."""
    file, dask = folder / "scheduler.json", [sys.executable, "-m"]
    both = ["--no-dashboard", "--scheduler-file", str(file)]
    ports = ["--host", "127.0.0.1", "--port", "0", *both]
    joins = ["--nworkers", "1", "--nthreads", "1", "--resources", "MGI=1", *both]
    with (
        subprocess.Popen([*dask, "distributed.cli.dask_scheduler", *ports], stderr=subprocess.DEVNULL) as scheduler,
        subprocess.Popen([*dask, "distributed.cli.dask_worker", *joins], stderr=subprocess.DEVNULL) as worker,
    ):
        try:
            while not file.exists():
                time.sleep(0.1)
            yield json.loads(file.read_text())["address"], scheduler.pid, worker.pid
        finally:
            worker.terminate()
            scheduler.terminate()


SCENARIOS: dict[str, list[StageTimes]] = {
    "`embedded`, two cores per worker": [
        StageTimes("warp", 1, 4.0),
        StageTimes("invert", 3, 35.0, spread=0.25),
        StageTimes("score", 1, 1.0),
        StageTimes("select", 1, 1.0),
        StageTimes("evaluate", 1, 2.0),
    ],
    "the papers' search, a GPU per worker": [
        StageTimes("warp", 1, 0.3),
        StageTimes("invert", 1, 22.0),
        StageTimes("score", 1, 0.3),
        StageTimes("select", 1, 0.1),
        StageTimes("evaluate", 1, 0.3),
    ],
    "one pass, 0.3 s per pair": [StageTimes("translate", 1, 0.3), StageTimes("evaluate", 1, 0.3)],
}
"""Seconds per unit. Inversions as in docs/benchmarks.md (two CPU cores; an H100), the others are round numbers."""


def show_simulation(costs: Costs, pairs: int) -> None:
    """Throughput and efficiency by the number of workers, with the shards that runs have and with small ones."""
    from flows.stages import PER_WORKER, SHARD

    limit = 1 / max(costs.client, costs.scheduler)
    who = "client" if costs.client >= costs.scheduler else "scheduler"
    print(f"\nthe {who} is the limit, at {limit:.0f} units per second")
    for name, stages in SCENARIOS.items():
        units = sum(stage.per_pair for stage in stages)
        mean = sum(stage.per_pair * stage.seconds for stage in stages) / units
        print(f"\n{name}: {units} units of {mean:.1f} s per pair; full at {limit * mean:,.0f} workers\n")
        print(f"| workers | pairs per hour | hours for {pairs:,} | efficiency | with {SHARD} pairs per shard |")
        print("|---|---|---|---|---|")
        for workers in WORKERS:
            shard = SHARD if workers == 1 else SHARD * -(-max(SHARD, PER_WORKER * workers) // SHARD)
            some = min(pairs, max(SIMULATED, 2 * shard) // shard * shard)  # shards repeat: some of them tell the rest
            done, small = (simulate(stages, some, workers, costs, size) for size in (shard, SHARD))
            rate = 3600 * some / done.seconds
            row = f"| {workers} | {rate:,.0f} | {pairs / rate:,.1f} | {done.efficiency:.2f} | {small.efficiency:.2f} |"
            print(row, flush=True)


if __name__ == "__main__":
    main()
