"""An environment with an installed wheel of mgi, and commands in it, far from any checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from processes import HERE, Ended

DECOYS = ("flows", "tasks", "storage", "suites")
"""Names that lie at the top of the repository, and may be other people's where mgi is installed."""


def python(*arguments: str | Path, cwd: Path) -> str:
    """This interpreter on `arguments`; what it printed."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))}
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, env=env, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel; `__call__` runs its `mgi` in a folder that is no checkout."""

    environment: Path
    folder: Path

    def __call__(self, *arguments: str | Path, program: str = "mgi", **variables: str) -> Ended:
        """Run a program of the environment with the stub method in place of networks."""
        ours = ("MGI_", "PREFECT_", "PYTHON")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        fixed = {"OMP_NUM_THREADS": "1", "MGI_OFFLINE": "1", "MGI_WEIGHTS_DIR": str(self.folder / "weights")}
        stub = {"PYTHONPATH": str(HERE), "MGI_METHOD_FACTORY": "stub_method:load", "MGI_METRICS": "none"}
        done = subprocess.run(
            [self.environment / "bin" / program, *arguments],
            cwd=self.folder,
            env=kept | fixed | stub | {"COLUMNS": "200"} | variables,
            capture_output=True,
            text=True,
            timeout=240,
        )
        return Ended(done.returncode, done.stdout, done.stderr)
