"""The real command in a separate process, on a folder of good pictures; only the networks are replaced by a stub."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
PROFILE = """
[warp]
image_size = 32
[inversion]
hypotheses = ["L04N10", "L05N20"]
steps = 5
[align]
mode = "never"
"""


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """Lines with the error, without progress and notes."""
        return [line for line in self.err.splitlines() if line.startswith("mgi: ")]


def good_folder(path: Path) -> Path:
    for kind in ("sources", "exemplars"):
        (path / kind).mkdir()
        for index in range(2):
            picture(40, index).save(path / kind / f"{kind[0]}{index}.png")
    (path / "small.toml").write_text(PROFILE)
    return path


def picture(side: int = 40, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8))


def mgi(folder: Path, *arguments: str, file_limit: int | None = None, stub: bool = True, **environment: str) -> Ended:
    """Run the command in `folder`; `file_limit`: no file may become larger than this many bytes."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("MGI_", "PREFECT_"))}
    env |= {"PYTHONPATH": os.pathsep.join([str(HERE), *sys.path[1:]]), "OMP_NUM_THREADS": "1"}
    env |= {"MGI_OFFLINE": "1", "MGI_WEIGHTS_DIR": str(folder / "weights"), "COLUMNS": "200"}
    env |= {"MGI_METHOD_FACTORY": "stub_method:load", "MGI_METRICS": "none"} if stub else {}
    command = [sys.executable, "-c", "from flows.cli import main; main()", *arguments]

    def limit() -> None:
        if file_limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

    done = subprocess.run(
        command, cwd=folder, env=env | environment, capture_output=True, text=True, timeout=240, preexec_fn=limit
    )
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return Ended(done.returncode, done.stdout, done.stderr)


def translate(folder: Path, *more: str, sources: str = "sources", exemplars: str = "exemplars", **how: object) -> Ended:
    arguments = ["translate", sources, exemplars, "--out", "run", "--profile", "small.toml", "--workers", "0", *more]
    return mgi(folder, *arguments, **how)  # type: ignore[arg-type]


def whole(run: Path) -> list[str]:
    """Names in final/, after making sure that nothing in the run's folder is half-written."""
    for path in (run / "final").glob("*"):
        with Image.open(path) as image:
            image.load()
            assert image.size == (128, 128)
    assert not [path for path in run.rglob("*") if path.name.endswith((".part", ".partial"))]
    return sorted(path.name for path in (run / "final").glob("*"))
