"""Files that a configuration names.

Found wherever the command starts, kept as absolute paths in run.json, refused if missing, noticed if replaced.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from marked import change
from PIL import Image
from places import GOLDEN
from runs import PROFILE, edited, make_inputs
from typer.testing import CliRunner, Result

from flows.cli import app
from mgi.config import RunConfig
from mgi.profiles import load_config
from storage.seal import sealed

NAME = "my m\N{LATIN SMALL LETTER O WITH DIAERESIS}del [v1] *?.pth"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pairs and a checkpoint with an awkward name in `models/`; the working directory, and the home."""
    for name in [name for name in os.environ if name.startswith(("MGI_", "PREFECT_API"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MGI_METHOD_FACTORY", "stub_method:load")
    monkeypatch.setenv("HOME", str(tmp_path))
    make_inputs(tmp_path, 2)
    (tmp_path / "models").mkdir()
    shutil.copy(GOLDEN / "pggan_mganprior.pth", tmp_path / "models" / NAME)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def mgi(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert "Traceback" not in result.output and "internal error" not in result.output, result.output
    return result


def translate(folder: Path, *more: str) -> Result:
    given = ("--profile", folder / "stub.toml", "--workers", "0")
    return mgi("translate", folder / "sources", folder / "exemplars", "--out", folder / "run", *given, *more)


def header(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run" / "run.json").read_text())
    return found


SPELLINGS = {
    "absolute": "{folder}/models/{name}",
    "relative": "models/{name}",
    "with dots": "./sources/../models/{name}",
    "home": "~/models/{name}",
    "through a link": "link/{name}",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_generator_may_be_any_path(folder: Path, spelling: str) -> None:
    (folder / "link").symlink_to(folder / "models")
    given = SPELLINGS[spelling].format(folder=folder, name=NAME)
    planned = translate(folder, "--set", f"generator={given}", "--dry-run")
    assert planned.exit_code == 0, planned.output
    ended = translate(folder, "--set", f"generator={given}")
    assert ended.exit_code == 0, ended.output
    path = str(folder.resolve() / "models" / NAME)
    assert header(folder)["config"]["generator"] == path
    assert len(header(folder)["weights"][path]) == 64


def test_every_spelling_is_the_same_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "link").symlink_to(folder / "models")
    translate(folder, "--set", f"generator=models/{NAME}")
    for spelling in SPELLINGS.values():
        again = translate(folder, "--set", f"generator={spelling.format(folder=folder, name=NAME)}")
        assert again.exit_code == 0 and "nothing to compute" in again.output, again.output
    monkeypatch.chdir(folder / "models")
    assert "nothing to compute" in translate(folder, "--set", f"generator={NAME}").output
    monkeypatch.setenv("MGI_GENERATOR", f"../models/{NAME}")
    assert "nothing to compute" in translate(folder).output


def test_zoo_names_stay_names_whatever_lies_here(folder: Path) -> None:
    (folder / "kaokore").write_bytes(b"not a checkpoint")
    assert translate(folder, "--set", "generator=kaokore").exit_code == 0
    assert header(folder)["config"]["generator"] == "kaokore"


def test_paths_in_a_profile_start_at_its_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f'generator = "../models/{NAME}"\n{PROFILE}\n[selection]\ndomain = "faces"\n'
    text = text.replace("steps = 5", 'steps = 5\ndegradation = "mask:hole [1].png"')
    (folder / "profiles" / "faces").mkdir(parents=True)
    (folder / "profiles" / "mine.toml").write_text(text, encoding="utf-8")
    Image.new("L", (32, 32)).save(folder / "profiles" / "hole [1].png")
    for number in range(2):
        Image.new("RGB", (32, 32)).save(folder / "profiles" / "faces" / f"{number}.png")
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    ended = translate(folder, "--profile", "~/profiles/mine.toml")
    assert ended.exit_code == 0, ended.output
    config = header(folder)["config"]
    assert config["generator"] == str(folder.resolve() / "models" / NAME)
    assert config["selection"]["domain"] == str(folder.resolve() / "profiles" / "faces")
    assert config["inversion"]["degradation"] == f"mask:{folder.resolve() / 'profiles' / 'hole [1].png'}"
    assert {"hole [1].png", config["selection"]["domain"]} < set(header(folder)["weights"])
    moved = translate(folder, "--profile", "../profiles/mine.toml", "--set", f"generator=../models/{NAME}")
    assert "nothing to compute" in moved.output, moved.output


def test_a_section_given_as_a_whole_has_paths_too(folder: Path) -> None:
    (folder / "faces").mkdir()
    for number in range(2):
        Image.new("RGB", (32, 32)).save(folder / "faces" / f"{number}.png")
    assert translate(folder, "--set", 'selection={domain = "faces"}').exit_code == 0
    assert header(folder)["config"]["selection"]["domain"] == str(folder.resolve() / "faces")


MISSING = {
    "generator=nowhere.pth": "generator: {folder}/nowhere.pth does not exist; give a checkpoint file or one of mobile-",
    "generator=kaokoro": "generator: {folder}/kaokoro does not exist",
    "generator=models": "generator: {folder}/models is a folder, not a checkpoint",
    "generator=": "is a folder, not a checkpoint",
    "selection.domain=nowhere": "selection.domain must be 'generator' or a folder of images, found '{folder}/nowhere'",
    "selection.domain=models": "selection.domain: {folder}/models holds 0 images",
    "inversion.degradation=mask:nowhere.png": "inversion.degradation: mask {folder}/nowhere.png does not exist",
}


@pytest.mark.parametrize("setting", MISSING)
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_what_is_not_there_is_refused_before_anything_starts(
    folder: Path, setting: str, more: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MGI_METHOD_FACTORY", "no_such_module:load")  # nothing may be loaded
    ended = translate(folder, "--set", setting, *more)
    assert ended.exit_code == 2
    assert MISSING[setting].format(folder=folder.resolve()) in ended.stderr
    assert len(ended.stderr.splitlines()) == 1 and not (folder / "run").exists()


def test_a_moved_checkpoint_is_another_path(folder: Path) -> None:
    translate(folder, "--set", f"generator=models/{NAME}")
    (folder / "models" / NAME).rename(folder / "models" / "other.pth")
    ended = translate(folder, "--set", "generator=models/other.pth")
    assert ended.exit_code == 2
    assert f'generator: "{folder.resolve()}/models/' in ended.stderr and "other.pth" in ended.stderr
    assert mgi("resume", folder / "run", "--workers", "0").exit_code == 0  # nothing is left that needs it


def replaced_checkpoint(folder: Path) -> None:
    shutil.copy(GOLDEN / "pggan_genforce.pth", folder / "models" / NAME)


def replaced_mask(folder: Path) -> None:
    Image.new("L", (40, 40)).save(folder / "hole.png")


def replaced_domain(folder: Path) -> None:
    Image.new("RGB", (32, 32), "red").save(folder / "faces" / "1.png")


REPLACED = {
    replaced_checkpoint: (f"generator=models/{NAME}", NAME),
    replaced_mask: ("inversion.degradation=mask:hole.png", "hole.png"),
    replaced_domain: ("selection.domain=faces", "faces"),
}


@pytest.mark.parametrize("replace", REPLACED)
def test_a_file_that_was_replaced_under_a_run_is_refused_in_one_line(folder: Path, replace: Any) -> None:
    setting, name = REPLACED[replace]
    (folder / "faces").mkdir()
    for number in range(2):
        Image.new("RGB", (32, 32)).save(folder / "faces" / f"{number}.png")
    Image.new("L", (32, 32)).save(folder / "hole.png")
    assert translate(folder, "--set", setting).exit_code == 0
    next((folder / "run" / "final").iterdir()).unlink()  # so that something is left to do
    replace(folder)
    for ended in (translate(folder, "--set", setting), mgi("resume", folder / "run", "--workers", "0")):
        assert ended.exit_code == 2, ended.output
        (line,) = ended.stderr.splitlines()
        assert "was begun with another file under this name" in line and name in line


def test_files_that_only_got_another_time_are_the_same(folder: Path) -> None:
    translate(folder, "--set", f"generator=models/{NAME}")
    (folder / "models" / NAME).touch()
    assert "nothing to compute" in translate(folder, "--set", f"generator=models/{NAME}").output


def test_a_run_whose_paths_are_relative_goes_on(folder: Path) -> None:
    """Older versions kept what was typed."""
    setting = ("--set", f"generator=models/{NAME}")
    translate(folder, *setting)
    path = folder / "run" / "run.json"
    old = {name: value for name, value in header(folder).items() if name != "seal"}
    old["config"]["generator"] = f"models/{NAME}"
    old["weights"] = {f"models/{NAME}": old["weights"].pop(str(folder.resolve() / "models" / NAME))}
    before, old["digest"] = old["digest"], RunConfig.model_validate(old["config"]).digest()
    for stage in ("warp", "invert", "score", "select", "evaluate"):
        change(folder / "run", stage, lambda content: None)
    shutil.rmtree(folder / "run" / "done" / "blocks")
    path.write_bytes(sealed(old))
    for marker in (folder / "run" / "done").rglob("*.json"):
        edited(marker, lambda text: text.replace(before, old["digest"]))
    again = translate(folder, *setting)
    assert again.exit_code == 0 and "nothing to compute" in again.output, again.output
    assert "nothing to compute" in mgi("resume", folder / "run", "--workers", "0").output
    assert translate(folder, *setting, "--set", "inversion.steps=6").exit_code == 2
    replaced_checkpoint(folder)
    assert translate(folder, *setting).exit_code == 2


def test_a_library_may_keep_relative_paths(folder: Path) -> None:
    assert load_config("quick", {"generator": "models/x.pth"}).generator == "models/x.pth"


def test_samples_and_directions_take_the_same_paths(folder: Path) -> None:
    for spelling in ("~/models/{name}", "models/{name}"):
        given = spelling.format(name=NAME)
        assert mgi("sample", given, "-n", "1", "--out", folder / "grid.png").exit_code == 0
        assert mgi("directions", "sample", given, "-n", "2", "--out", folder / "d").exit_code == 0
        ended = mgi("directions", "ganspace", given, "--components", "1", "-n", "100", "--out", folder / "d")
        assert ended.exit_code == 0, ended.output
        described = json.loads((folder / "d" / "component_00.json").read_text())
        assert described["generator"] == str(folder.resolve() / "models" / NAME)  # as in run.json
    assert mgi("sample", "nowhere.pth", "--out", folder / "grid.png").exit_code == 2


def test_pages_of_samples_are_those_of_the_checkpoint(folder: Path) -> None:
    """Without styles, the latents of two checkpoints under one name are the same; their images are not."""
    given = ("directions", "sample", f"models/{NAME}", "-n", "2", "--out", folder / "d")
    mgi(*given)
    page, latents = folder / "d" / "samples_00000.png", (folder / "d" / "latents.npz").read_bytes()
    before = page.read_bytes()
    import torch

    state = torch.load(folder / "models" / NAME, weights_only=True)
    torch.save({name: -tensor for name, tensor in state.items()}, folder / "models" / NAME)
    mgi(*given)
    assert (folder / "d" / "latents.npz").read_bytes() == latents
    assert page.read_bytes() != before
