"""`mgi paste RUN`: every result in its source photograph, once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from damaged import make_run, mgi
from PIL import Image
from runs import make_inputs

from storage.run_store import RunStore
from tasks.unit import Job


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MGI_METHOD_FACTORY", "stub_method:load")
    return make_run(tmp_path)


def sources(run: Path) -> dict[str, Path]:
    opened = Job.of(RunStore.open(run)).open()
    return {pair: Path(opened.files(pair)[0]) for pair in opened.pair_ids()}


def test_every_result_goes_into_its_photograph(run: Path) -> None:
    done = mgi("paste", run)
    assert done.exit_code == 0 and "2 photographs made: " in done.output, done.output
    for pair, source in sources(run).items():
        with Image.open(source) as before, Image.open(run / "pasted" / f"{pair}.png") as after:
            assert after.size == before.size
            assert not np.array_equal(np.asarray(after), np.asarray(before.convert("RGB")))
    again = mgi("paste", run)
    assert again.exit_code == 0 and "0 photographs made, 2 were there" in again.output
    assert mgi("verify", run).exit_code == 0


def test_a_photograph_that_is_gone_is_named_and_the_others_are_made(run: Path, tmp_path: Path) -> None:
    pair, source = next(iter(sources(run).items()))
    source.unlink()
    done = mgi("paste", run, "--out", tmp_path / "photos")
    assert done.exit_code == 3 and pair in done.output and "1 photographs made" in done.output
    assert len(list((tmp_path / "photos").iterdir())) == 1


def test_what_cannot_be_pasted(tmp_path: Path) -> None:
    assert mgi("paste", tmp_path).exit_code == 2
    done = mgi("paste", "s3://bucket/run")
    assert done.exit_code == 2 and "--out: expected a folder" in done.output


def test_a_translation_pastes_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGI_METHOD_FACTORY", "stub_method:load")
    inputs = make_inputs(tmp_path / "in", 2)
    folders = (inputs / "sources", inputs / "exemplars")
    done = mgi("translate", *folders, "--out", inputs / "run", "--profile", inputs / "stub.toml", "--paste-back")
    assert done.exit_code == 0 and "2 photographs made: " in done.output, done.output
    assert len(list((inputs / "run" / "pasted").iterdir())) == 2
    refused = mgi("translate", *folders, "--out", "s3://bucket/run", "--profile", inputs / "stub.toml", "--paste-back")
    assert refused.exit_code == 2 and "mgi paste --help" in refused.output
