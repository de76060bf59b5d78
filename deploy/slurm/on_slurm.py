"""Run a command of mgi on workers that SLURM starts: one job per worker, and a scheduler beside the command.

    pip install dask-jobqueue
    python deploy/slurm/on_slurm.py --jobs 8 --cores 8 --memory 16GB -- translate photos paintings --out runs/first
    python deploy/slurm/on_slurm.py --jobs 4 --gpus 1 --print-job -- resume runs/first      # shows the job, starts none

The nodes must see the folders under the same paths, and this Python. The command waits a day for the first job to start
(`--patience` after the `--` changes that), computes as jobs come and go, and cancels those that are left when it ends.
Where it is killed, `resume` instead of `translate` continues the run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from importlib.metadata import entry_points
from typing import Any

DAY = 24 * 60 * 60


def main() -> int:
    """Start the cluster, run the command beside it, and return the command's exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=4, help="workers")
    parser.add_argument("--cores", type=int, default=8, help="per worker, which are the threads of its unit")
    parser.add_argument("--memory", default="16GB", help="per worker")
    parser.add_argument("--gpus", type=int, default=0, choices=(0, 1), help="per worker")
    parser.add_argument("--walltime", default="04:00:00", help="of a job; the run goes on without those that end")
    parser.add_argument("--partition", help="partition of SLURM")
    parser.add_argument("--account", help="account of SLURM")
    parser.add_argument("--interface", help="network interface between nodes, such as ib0")
    parser.add_argument("--print-job", action="store_true", help="print the job script and stop")
    parser.add_argument("command", nargs="+", metavar="-- COMMAND", help="a command of mgi, without `mgi`")
    asked = parser.parse_args()

    with cluster(asked) as started:
        if asked.print_job:
            print(started.job_script())
            return 0
        started.scale(jobs=asked.jobs)
        (mgi,) = entry_points(group="console_scripts", name="mgi")
        code = f"import sys; from {mgi.module} import {mgi.attr} as main; sys.argv[0] = 'mgi'; main()"
        command = [sys.executable, "-c", code, *asked.command, "--scheduler", started.scheduler_address]
        return subprocess.run(command, env={"MGI_PATIENCE": str(DAY), **os.environ}, check=False).returncode


def cluster(asked: argparse.Namespace) -> Any:
    """A cluster without workers yet; its scheduler is in this process."""
    from dask_jobqueue import SLURMCluster

    kind = "GPU" if asked.gpus else "MGI"
    return SLURMCluster(
        job_name="mgi",
        cores=asked.cores,
        processes=1,
        memory=asked.memory,
        walltime=asked.walltime,
        queue=asked.partition,
        account=asked.account,
        interface=asked.interface,
        job_extra_directives=[f"--gres=gpu:{asked.gpus}"] if asked.gpus else [],
        # Dask's memory limit would pause a unit that needs all of it; SLURM has its own.
        worker_extra_args=["--resources", f"{kind}=1", "--memory-limit", "0"],
        # Dask sets one thread, unless the environment says otherwise.
        job_script_prologue=[f"export OMP_NUM_THREADS={asked.cores}"],
        # A unit whose worker died twice is given up; only the scheduler reads this.
        scheduler_options={"allowed_failures": 1},
    )


if __name__ == "__main__":
    sys.exit(main())
