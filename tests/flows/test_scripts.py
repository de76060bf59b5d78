"""`--quiet` and `--json` of every command: docs/scripts.md says what they print, and that is all they print."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import typer
from runs import make_inputs
from small_suite import suite_file
from typer.testing import CliRunner, Result

from flows.cli import app

DOCUMENT = Path(__file__).parents[2] / "docs" / "scripts.md"
NO_NUMBERS = {"study serve": "it serves until it is stopped"}
"""Commands without --json, and why."""

pytestmark = pytest.mark.usefixtures("stub")


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, set[str]]]:
    """Every command with its options."""
    if not hasattr(command, "commands"):
        yield " ".join(path), {name for option in command.params for name in option.opts}
        return
    for name, inner in command.commands.items():
        yield from leaves(inner, (*path, name))


OPTIONS = dict(leaves(typer.main.get_command(app)))


def documented() -> dict[str, set[str]]:
    """{command: its first fields}, without what stands in brackets or after a semicolon."""
    found = {}
    rows = re.findall(r"^\| `mgi ([a-z -]+)` \| (.*) \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    for name, text in rows:
        found[name] = set(re.findall(r"`(\w+)`", re.sub(r"\([^()]*\)", "", text).partition(";")[0]))
    return found


def mgi(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with inputs, a run, a study and what else commands need; used by all, changed by none for the others."""
    folder = tmp_path_factory.mktemp("place")
    inputs = make_inputs(folder / "in", 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MGI_METHOD_FACTORY", "stub_method:load")
        patch.setattr("tasks.evaluation.STANDARD", "none")
        suite = suite_file(inputs, 'name = "mgi"', 'name = "mganprior"', sets="[]")
        for command in (
            translate(folder, "run"),
            ["evaluate", suite, "--out", folder / "eval", "--workers", "0"],
            ["study", "build", folder / "eval", "--out", folder / "study", "--sets", "1"],
        ):
            assert mgi(*command).exit_code == 0
    box = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 2], "score": 0.5}
    (folder / "boxes.json").write_text(json.dumps([box]))
    np.save(folder / "age.npy", np.array([[1.0, 0, 0, 0]]))
    return folder


def translate(place: Path, run: str) -> list[Any]:
    folders = [place / "in" / "sources", place / "in" / "exemplars"]
    return ["translate", *folders, "--out", place / run, "--profile", place / "in" / "stub.toml", "--workers", "0"]


def command(name: str, place: Path) -> list[Any]:
    """A command line of each command with `--json`."""
    run, inputs = place / "run", place / "in"
    commands: dict[str, list[Any]] = {
        "translate": translate(place, "new")[1:],
        "invert": [inputs / "sources", "--out", place / "inv", "--profile", inputs / "stub.toml", "--workers", "0"],
        "resume": [run, "--workers", "0"],
        "status": [run],
        "verify": [run],
        "select": [run, "--rule", "sifid", "--workers", "0"],
        "report": [run],
        "paste": [run],
        "export": [run, "--to", place / "exported"],
        "pack": [run, "--to", place / "packed"],
        "clean": [run, "--dry-run"],
        "edit": [run, "--direction", place / "age.npy", "--steps", "2"],
        "evaluate": [place / "eval", "--workers", "0"],
        "compare": [place / "eval", place / "eval"],
        "leaderboard": [place / "eval"],
        "compare-sets": [inputs / "sources", inputs / "exemplars", "--metric", "swd"],
        "compare-labels": [inputs / "sources", inputs / "sources", "--classes", "255"],
        "compare-boxes": [place / "boxes.json", place / "boxes.json"],
        "diversity": [run],
        "study build": [place / "eval", "--out", place / "study2", "--sets", "1"],
        "study tally": [place / "study"],
        "conditions": [inputs / "sources", "--kind", "segments", "--out", place / "segments"],
        "sample": ["tiny", "--out", place / "grid.png"],
        "init": [place / "my.toml"],
        "weights fetch": ["kaokore-64"],
        "weights verify": ["kaokore-64"],
        "weights convert": ["a.pt", place / "converted.safetensors"],
        "weights blend": ["a", "b", place / "blended.safetensors"],
        "directions sample": ["tiny", "--out", place / "d"],
        "directions fit": [place / "latents.npz", place / "labels.csv", "--out", place / "smile.npy"],
        "directions ganspace": ["tiny", "--out", place / "d"],
        "train generator": [inputs / "sources", "--out", place / "model"],
        "train descriptor": ["tiny", "--out", place / "d.safetensors"],
        "train critic": ["tiny", "--out", place / "c.safetensors"],
        "train encoder": ["--out", place / "encoder"],
        "train translator": ["pix2pix", inputs / "sources", "--condition", "edges", "--out", place / "translator"],
    }
    return [*name.split(), *commands.get(name, [])]


@pytest.fixture
def nothing_heavy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What trains, draws, fetches or examines for long answers at once."""
    from flows.doctor import Check
    from mgi.directions.boundary import Boundary

    sides = {"negative": "no", "positive": "yes", "counts": (3, 4)}
    fit = SimpleNamespace(boundary=Boundary(np.ones(2), 0.9, 0.8, 1.0), space="w", **sides)
    component = (tmp_path / "c.npy", {"explained_variance": 0.5, "linear_in_latent": 1.0, "space": "w"})
    numbers = {"steps": 4, "best_step": 2, "model": tmp_path / "m.safetensors"}
    for name, answer in {
        "mgi.profiles.whole_generator": "tiny",
        "mgi.sampling.sample_grid": np.zeros((8, 8, 3), np.uint8),
        "mgi.weights.fetch": tmp_path / "w",
        "mgi.weights.verify": tmp_path / "w",
        "mgi.weights.identity.generator_sha256": "0" * 64,
        "mgi.weights.convert.generator.convert_checkpoint": ("pggan", 64),
        "mgi.weights.generators.generator_path": tmp_path / "g",
        "mgi.weights.blending.blend": ("pggan", 64),
        "tasks.editing.directions.write_samples": [tmp_path / "latents.npz"],
        "tasks.editing.directions.fit_direction": fit,
        "tasks.editing.directions.write_components": [component],
        "tasks.train_generator.train_generator": SimpleNamespace(images_seen=8, best_score=float("inf"), **numbers),
        "tasks.train_encoder.train_encoder": SimpleNamespace(errors={"l2": 0.5}, **numbers),
        "tasks.train_translator.train_translator": SimpleNamespace(scores={"frechet": 0.5}, **numbers),
        "tasks.train_descriptor.train_descriptor": {"explained": 0.5, "samples": 8},
        "tasks.train_critic.train_critic": {"blurred": 0.9},
        "tasks.outputs.run_diversity": ("lpips", 0.5, 2),
        "flows.doctor.examine": [Check("ok", "versions", "all")],
    }.items():
        monkeypatch.setattr(name, lambda *_, answer=answer, **__: answer)


def test_every_command_can_be_quiet_and_says_numbers_as_json() -> None:
    assert [name for name, options in OPTIONS.items() if "--quiet" not in options] == []
    without = {name for name, options in OPTIONS.items() if "--json" not in options}
    assert without == NO_NUMBERS.keys(), "give it --json by returning an Answer, or say here why not"
    assert documented().keys() == OPTIONS.keys() - without


@pytest.mark.parametrize("name", [name for name in OPTIONS if name not in NO_NUMBERS])
def test_json_is_one_object_with_the_documented_fields(name: str, place: Path, nothing_heavy: None) -> None:
    done = mgi(*command(name, place), "--json", "--quiet")
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    found = json.loads(done.stdout, parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    assert isinstance(found, dict) and found.keys() == documented()[name]


def test_quiet_leaves_the_path_of_what_is_made(place: Path) -> None:
    done = mgi(*translate(place, "quiet"), "--quiet")
    assert (done.stdout, done.stderr) == (f"{place / 'quiet'}\n", "")
    exported = mgi("export", place / "quiet", "--to", place / "to", "-q")
    assert (exported.stdout, exported.stderr) == (f"{place / 'to' / 'export.csv'}\n", "")
    loud = mgi("resume", place / "quiet", "--workers", "0")
    assert "2 of 2 pairs done; nothing to compute" in loud.stdout and "mgi export" in loud.stderr


def test_what_went_wrong_is_said_all_the_same(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for switch in ("--quiet", "--json"):
        absent = mgi("status", tmp_path, switch)
        assert (absent.exit_code, absent.stdout) == (2, "") and len(absent.stderr.splitlines()) == 1
    monkeypatch.setenv("STUB_FAIL", "s01")
    done = mgi(*translate(place, "broken"), "--quiet", "--json")
    assert done.exit_code == 3 and json.loads(done.stdout)["exit_code"] == 3
    assert done.stderr.startswith("quarantined: s01")
    assert mgi("status", place / "broken", "--quiet").stderr.strip().startswith("s01")


def test_the_environment_can_ask_for_both(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGI_STATUS_JSON", "1")
    monkeypatch.setenv("MGI_STATUS_QUIET", "1")
    assert json.loads(mgi("status", place / "run").stdout)["complete"] is True
