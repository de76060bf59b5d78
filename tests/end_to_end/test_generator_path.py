"""The user's own checkpoint by a relative path with a space in it, computed by a Dask worker in another folder."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from places import EXAMPLES, ROOT

from mgi.weights import WeightsMissing, path, zoo

pytestmark = pytest.mark.slow


def environment() -> dict[str, str]:
    """The caller's environment, in which this checkout is found from every folder."""
    kept = ("MGI_WEIGHTS_DIR", "MGI_WEIGHTS_MIRROR")
    dropped = [name for name in os.environ if name.startswith(("MGI_", "PREFECT_")) and name not in kept]
    plain = {name: value for name, value in os.environ.items() if name not in dropped}
    return plain | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@contextlib.contextmanager
def started(folder: Path, *arguments: str | Path) -> Iterator[None]:
    """`dask ...` in its own folder, until the end of the block."""
    folder.mkdir()
    command = [sys.executable, "-m", "distributed.cli." + str(arguments[0]), *map(str, arguments[1:])]
    with subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield
        finally:
            process.terminate()


def mgi(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows.cli", *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=200, check=False
    )


def test_a_worker_in_another_folder_finds_the_checkpoint(tmp_path: Path) -> None:
    try:
        path("vgg16-imagenet")
    except WeightsMissing as error:
        pytest.skip(str(error))
    here = tmp_path / "here"
    for side in ("sources", "exemplars", "my models"):
        (here / side).mkdir(parents=True)
    generator = here / "my models" / "k [1].safetensors"
    shutil.copy(zoo.entry("kaokore").path, generator)
    for number, painting in enumerate(sorted(EXAMPLES.glob("*/kaokore-*.jpg"))[:2]):
        shutil.copy(painting, here / ("sources", "exemplars")[number])
    arguments = ["translate", "sources", "exemplars", "--out", "run", "--profile", "quick"]
    arguments += ["--set", "inversion.steps=4", "--set", "inversion.warm_start=0"]
    arguments += ["--set", "generator=my models/k [1].safetensors"]

    address = tmp_path / "scheduler.json"
    quiet = ("--no-dashboard", "--scheduler-file", address)
    with started(tmp_path / "a", "dask_scheduler", "--port", "0", *quiet):
        deadline = time.monotonic() + 30
        # The scheduler creates its file before it fills it.
        while not (address.exists() and address.read_text().endswith("}")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with started(tmp_path / "b", "dask_worker", "--no-nanny", "--nthreads", "1", *quiet):
            scheduler = json.loads(address.read_text())["address"]
            done = mgi(here, *arguments, "--scheduler", scheduler)
            assert done.returncode == 0, done.stderr

            # The worker has the network in its memory; another checkpoint under the name is still refused.
            next((here / "run" / "final").iterdir()).unlink()
            generator.write_bytes(generator.read_bytes()[:-4] + b"\0\0\0\0")
            refused = mgi(here, *arguments, "--scheduler", scheduler)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "k [1].safetensors" in refused.stderr

    header = json.loads((here / "run" / "run.json").read_text())
    assert header["config"]["generator"] == str(generator)
    assert header["weights"][str(generator)] == zoo.expected_sha256(zoo.entry("kaokore"))
    shutil.copy(zoo.entry("kaokore").path, generator)
    assert mgi(tmp_path, "resume", here / "run", "--workers", "0").returncode == 0
    (final,) = (here / "run" / "final").iterdir()
    pixels = np.asarray(Image.open(final))
    assert pixels.shape == (64, 64, 3) and pixels.std() > 10
