"""Whatever is wrong with a request, the machine or the set-up: one line that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from processes import Ended, good_folder, mgi, picture, translate, whole
from typer.testing import CliRunner

from flows.cli import app

pytestmark = pytest.mark.usefixtures("stub")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with two good sources, two good exemplars and a small profile."""
    return good_folder(tmp_path)


# Requests that cannot run at all: exit code 2, one line, no run folder.


def here(folder: Path, *arguments: str) -> Ended:
    """The command in this process, where it starts in no time; `processes.mgi` takes two seconds to start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("COLUMNS", "200")
        done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, SystemExit | None), done.exception
    return Ended(done.exit_code, done.stdout, done.stderr)


UNUSABLE: dict[str, tuple[Callable[[Path], object] | None, list[str], list[str]]] = {
    "missing folder": (None, ["nowhere", "exemplars"], ["nowhere", "does not exist"]),
    "missing exemplars": (None, ["sources", "nowhere"], ["nowhere", "does not exist"]),
    "a file for a folder": (None, ["small.toml", "exemplars"], ["small.toml", "folder of images"]),
    "empty folder": (lambda f: (f / "empty").mkdir(), ["empty", "exemplars"], ["empty", "holds no images"]),
    "no images": (
        lambda f: ((f / "text").mkdir(), (f / "text" / "a.txt").write_text("a")),
        ["text", "exemplars"],
        ["holds no images", "png"],
    ),
    "counts do not zip": (
        lambda f: picture().save(f / "sources" / "s2.png"),
        ["sources", "exemplars"],
        ["3 sources", "2 exemplars", "product"],
    ),
    "unknown pairing": (None, ["sources", "exemplars", "--pairing", "best"], ["best", "product"]),
    "missing manifest": (None, ["sources", "exemplars", "--pairing", "p.csv"], ["p.csv", "does not exist"]),
    "manifest without columns": (
        lambda f: (f / "p.csv").write_text("a,b\n1,2\n"),
        ["sources", "exemplars", "--pairing", "p.csv"],
        ["p.csv", "source and exemplar", "a, b"],
    ),
    "unknown profile": (None, ["sources", "exemplars", "--profile", "best"], ["best", ".toml"]),
    "missing profile": (None, ["sources", "exemplars", "--profile", "best.toml"], ["best.toml", "does not exist"]),
    "profile is not TOML": (
        lambda f: (f / "bad.toml").write_text("[warp\n"),
        ["sources", "exemplars", "--profile", "bad.toml"],
        ["bad.toml", "TOML"],
    ),
    "unknown profile key": (
        lambda f: (f / "bad.toml").write_text("[inversion]\nstep = 5\n"),
        ["sources", "exemplars", "--profile", "bad.toml"],
        ["inversion.step", "unknown key"],
    ),
    "unknown key": (None, ["sources", "exemplars", "--set", "warp.size=3"], ["warp.size", "unknown key"]),
    "impossible value": (None, ["sources", "exemplars", "--set", "inversion.steps=0"], ["inversion.steps", "found 0"]),
    "not an assignment": (None, ["sources", "exemplars", "--set", "inversion.steps"], ["inversion.steps", "="]),
    "impossible hypothesis": (
        None,
        ["sources", "exemplars", "--set", 'inversion.hypotheses=["best"]'],
        ["inversion.hypotheses", "L06N30"],
    ),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_unusable_requests_are_refused_in_one_line(folder: Path, case: str) -> None:
    prepare, arguments, words = UNUSABLE[case]
    if prepare:
        prepare(folder)
    more = [] if "--profile" in arguments else ["--profile", "small.toml"]
    ended = here(folder, "translate", *arguments, "--out", "run", "--workers", "0", *more)
    assert ended.code == 2
    assert len(ended.err.strip().splitlines()) == len(ended.errors) == 1, ended.err
    assert all(word in ended.err for word in words), ended.err
    assert ended.out == "" and not (folder / "run").exists()


@pytest.mark.parametrize("verb", ["resume", "status", "report"])
def test_a_folder_without_a_run_is_refused(folder: Path, verb: str) -> None:
    ended = here(folder, verb, "sources")
    assert ended.code == 2 and len(ended.errors) == 1 and "mgi translate" in ended.err
    assert sorted(path.name for path in (folder / "sources").iterdir()) == ["s0.png", "s1.png"]


# Problems of the machine or the set-up: exit code 1, one line that says how to continue.


def test_another_configuration_on_a_run_is_refused_with_the_difference(folder: Path) -> None:
    assert translate(folder).code == 0
    before = (folder / "run" / "run.json").read_bytes()
    ended = translate(folder, "--set", "inversion.steps=6", "--seed", "3")
    assert ended.code == 2 and len(ended.errors) == 1
    assert "inversion.steps: 5 -> 6" in ended.err and "seed: 0 -> 3" in ended.err
    assert (folder / "run" / "run.json").read_bytes() == before


def test_a_file_in_the_place_of_the_run_is_refused(folder: Path) -> None:
    (folder / "run").write_text("mine")
    ended = translate(folder)
    assert ended.code in (1, 2) and len(ended.errors) == 1 and "run" in ended.err
    assert (folder / "run").read_text() == "mine"


@pytest.mark.parametrize("weights", ["vgg16-imagenet", "mobile-stylegan-ffhq"])
def test_weights_with_a_wrong_hash_are_not_used(folder: Path, weights: str) -> None:
    (folder / "weights").mkdir()
    (folder / "weights" / f"{weights}.safetensors").write_bytes(b"not these")
    ended = mgi(folder, "weights", "verify", weights, stub=False)
    assert ended.code == 1 and weights in ended.err + ended.out and "sha256" in ended.err + ended.out


def test_a_run_with_a_wrong_weight_hash_stops_in_one_line(folder: Path) -> None:
    (folder / "weights").mkdir()
    for name in ("vgg16-imagenet", "vgg19-imagenet", "mobile-stylegan-ffhq", "mtcnn-faces"):
        (folder / "weights" / f"{name}.safetensors").write_bytes(b"not these")
    ended = translate(folder, "--set", "warp.backbone=vgg16-imagenet", stub=False)
    assert ended.code == 1 and len(ended.errors) == 1
    assert "sha256" in ended.err and "mgi weights fetch" in ended.err
    assert not list(folder.glob("run/final/*"))


def test_absent_weights_offline_say_what_to_bring(folder: Path) -> None:
    ended = translate(folder, "--set", "warp.backbone=vgg16-imagenet", stub=False)
    assert ended.code == 1 and len(ended.errors) == 1 and "mgi weights fetch" in ended.err


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The contents of final/ after an undisturbed run of the good pictures."""
    folder = good_folder(tmp_path_factory.mktemp("complete"))
    assert translate(folder).code == 0
    return {path.name: path.read_bytes() for path in (folder / "run" / "final").iterdir()}


@pytest.mark.parametrize("limit", [300, pytest.param(30000, marks=pytest.mark.long)])
def test_a_full_disk_stops_the_run_in_one_line_and_nothing_is_lost(
    folder: Path, complete: dict[str, bytes], limit: int
) -> None:
    """A limit on file sizes makes the kernel refuse writes like a full disk, at different moments of the run."""
    ended = translate(folder, file_limit=limit)
    assert ended.code == 1 and len(ended.errors) == 1, ended.err
    assert "space" in ended.err
    for name in whole(folder / "run"):
        assert (folder / "run" / "final" / name).read_bytes() == complete[name]

    assert translate(folder).code == 0
    assert whole(folder / "run") == sorted(complete)
    assert {path.name: path.read_bytes() for path in (folder / "run" / "final").iterdir()} == complete
