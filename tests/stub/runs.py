"""What pipeline tests share: small input folders, a stub profile, and the real `mgi` command with the stub method."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from storage.seal import opened, sealed

HERE = Path(__file__).resolve().parent

PROFILE = """
[warp]
image_size = 32
[inversion]
hypotheses = ["L04N03", "L05N02", "L06N04"]
steps = 5
[align]
mode = "never"
"""


def make_inputs(folder: Path, count: int) -> Path:
    """`sources/`, `exemplars/` with `count` noise images each, and `stub.toml`."""
    noise = np.random.default_rng(0)
    for side in ("sources", "exemplars"):
        (folder / side).mkdir(parents=True)
        for number in range(count):
            pixels = noise.integers(0, 256, (36, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / side / f"{side[0]}{number:02d}.png")
    (folder / "stub.toml").write_text(PROFILE, encoding="utf-8")
    return folder


def environment(**more: str) -> dict[str, str]:
    """The caller's environment without its MGI_ and PREFECT_ settings, with the stub method and this checkout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MGI_", "PREFECT_"))}
    found = os.pathsep.join(map(str, (HERE, HERE.parents[1])))
    stub = {"MGI_METHOD_FACTORY": "stub_method:load", "MGI_METRICS": "none"}
    stub |= {"PYTHONPATH": found, "OMP_NUM_THREADS": "1"}
    return kept | stub | more


def command(*arguments: str | Path) -> list[str]:
    """The command line of `mgi` in this interpreter's environment."""
    return [sys.executable, "-c", "from flows.cli import main; main()", *map(str, arguments)]


def translate_command(inputs: Path, run: Path, *more: str | Path) -> list[str]:
    """`mgi translate` of the inputs with the stub profile."""
    folders = (inputs / "sources", inputs / "exemplars")
    return command("translate", *folders, "--out", run, "--profile", inputs / "stub.toml", *more)


def mgi(arguments: list[str], **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command line to its end."""
    return subprocess.run(arguments, env=environment(**more), capture_output=True, text=True, timeout=120, check=False)


def edited(path: Path, change: Callable[[str], str]) -> None:
    """Change the text of a sealed file, `run.json` or a marker, and seal it again."""
    content, _ = opened(path.read_bytes())
    path.write_bytes(sealed(json.loads(change(json.dumps(content)))))


def results(run: Path) -> dict[str, bytes]:
    """{name: bytes} of the final images."""
    return {path.name: path.read_bytes() for path in sorted((run / "final").glob("*.png"))}
