"""A finished run of many pairs, written from one that was computed: for what commands cost that compute nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from marked import every_marker
from PIL import Image
from typer.testing import CliRunner

from flows.arguments import Arguments
from flows.cli import app
from flows.pipeline import request_of
from storage import run_header
from storage.run_store import RunStore
from tasks.method import layout_of
from tasks.stages.plan import create_run, make_plan
from tasks.unit import REPORT

LINKS = 60_000
"""Names that one file may have; file systems allow some more."""


def make_pictures(folder: Path, pairs: int, hypotheses: int) -> Path:
    """`sources/`, `exemplars/` with as many names of one small noise picture, and `stub.toml`."""
    noise = np.random.default_rng(0)
    for side in ("sources", "exemplars"):
        (folder / side).mkdir(parents=True)
        picture = folder / f"{side}.png"
        Image.fromarray(noise.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(picture)
        _links(picture, (folder / side / f"{number:06d}.png" for number in range(pairs)))
    ids = json.dumps([f"L{4 + number % 8:02d}N{2 + number // 8:02d}" for number in range(hypotheses)])
    text = f'[align]\nmode = "never"\n[warp]\nimage_size = 32\n[inversion]\nhypotheses = {ids}\nsteps = 5\n'
    (folder / "stub.toml").write_text(text, encoding="utf-8")
    return folder


def translate_arguments(inputs: Path, run: Path, metrics: str = "none") -> list[str]:
    """`translate` of all pictures of `inputs` in one process."""
    folders = [str(inputs / "sources"), str(inputs / "exemplars")]
    settings = ["--profile", str(inputs / "stub.toml"), "--workers", "0", "--metrics", metrics]
    return ["translate", *folders, "--out", str(run), *settings]


def make_finished(folder: Path, pairs: int, hypotheses: int, metrics: str = "none") -> Path:
    """A run that `resume` finds complete, without arrays. Needs MGI_METHOD_FACTORY=stub_method:load.

    Args:
        folder: gets the inputs and the run, `folder / "run"`.
        pairs, hypotheses: how many.
        metrics: as of `mgi translate`.
    """
    one = make_pictures(folder / "one", 1, hypotheses)
    done = CliRunner().invoke(app, translate_arguments(one, one / "run", metrics))
    assert done.exit_code == 0, done.output
    model, (pair_id,) = every_marker(one / "run"), RunStore.open(one / "run").pair_ids()
    make_pictures(folder, pairs, hypotheses)
    request = request_of(
        Arguments("translate", str(folder / "sources"), str(folder / "exemplars"), str(folder / "stub.toml"))
    )
    store = create_run(make_plan(request), str(folder / "run"), layout_of(request.config.model_dump_json(), 1), 1)
    old = RunStore.open(one / "run").header
    run_header.write(store.path / "run.json", {**store.header, "metrics": old["metrics"], "weights": old["weights"]})
    store = RunStore.open(folder / "run")
    ids, records = store.pair_ids(), store.markers.records
    assert records is not None
    for block in range(-(-pairs // records.rows)):
        units = {}
        for row, id in enumerate(records.ids(block), block * records.rows):
            for (stage, key), content in model.items():
                files = {name.replace(pair_id, id): digest for name, digest in content["files"].items()}
                units[stage, key.replace(pair_id, id)] = {**content, "pair_index": row, "files": files}
        records.write(block, units)
    (folder / "run" / "final").mkdir()
    _links(next((one / "run" / "final").iterdir()), (folder / "run" / "final" / f"{id}.png" for id in ids))
    (folder / "run" / "report.html").write_text("a page")
    state = {"results": pairs, "quarantined": 0}
    if keys := old["metrics"]["keys"]:
        state["metrics"] = keys
    store.publish(REPORT, REPORT, pair_index=0, payload={"state": state})
    return folder / "run"


def _links(picture: Path, names: Iterator[Path]) -> None:
    base = picture
    for number, name in enumerate(names):
        if number % LINKS == 0:
            base = Path(shutil.copy(picture, name))
        else:
            os.link(base, name)
