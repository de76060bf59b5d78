"""Whatever is wrong with the input: one line that says what to do, or quarantine while the others go on.

Everything goes through the real command in a process of its own; only the networks are replaced by a stub.
"""

from __future__ import annotations

import csv
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PROFILE = """
[warp]
image_size = 32
[inversion]
hypotheses = ["L04N10", "L05N20"]
steps = 5
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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with two good sources, two good exemplars and a small profile."""
    return good_folder(tmp_path)


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
    env |= {"PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "stub"), *sys.path[1:]]), "OMP_NUM_THREADS": "1"}
    env |= {"MGI_OFFLINE": "1", "MGI_WEIGHTS_DIR": str(folder / "weights"), "COLUMNS": "200"}
    env |= {"MGI_METHOD_FACTORY": "stub_method:load"} if stub else {}
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


# What cannot be run at all: exit code 2, one line, no run folder.

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
    ended = mgi(folder, "translate", *arguments, "--out", "run", "--workers", "0", *more)
    assert ended.code == 2
    assert len(ended.err.strip().splitlines()) == len(ended.errors) == 1, ended.err
    assert all(word in ended.err for word in words), ended.err
    assert ended.out == "" and not (folder / "run").exists()


@pytest.mark.parametrize("verb", ["resume", "status", "report"])
def test_a_folder_without_a_run_is_refused(folder: Path, verb: str) -> None:
    ended = mgi(folder, verb, "sources")
    assert ended.code == 2 and len(ended.errors) == 1 and "mgi translate" in ended.err
    assert sorted(path.name for path in (folder / "sources").iterdir()) == ["s0.png", "s1.png"]


# What is wrong with single pictures: quarantine with the reason, exit code 3, and the others go on.


def truncated(path: Path) -> None:
    picture(64).save(path)
    path.write_bytes(path.read_bytes()[:3000])


def bomb(path: Path) -> None:
    Image.new("1", (20000, 20000)).save(path)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated.png": (truncated, "cannot be"),
    "truncated.jpg": (lambda p: (picture(64).save(p), p.write_bytes(p.read_bytes()[:2000])), "cannot be"),
    "unreadable.png": (lambda p: p.write_text("not a picture"), "image format"),
    "empty.png": (lambda p: p.touch(), "empty"),
    "bomb.png": (bomb, "million pixels"),
    "tiny.png": (lambda p: picture(8).save(p), "at least 32"),
    "dangling.png": (lambda p: p.symlink_to(p.with_name("gone.png")), "does not exist"),
}

GOOD: dict[str, Callable[[Path], object]] = {
    "animated.gif": lambda p: picture(seed=1).save(p, save_all=True, append_images=[picture(seed=2), picture(seed=3)]),
    "cmyk.jpg": lambda p: picture().convert("CMYK").save(p),
    "deep.png": lambda p: Image.fromarray(np.full((40, 40), 0x8000, np.uint16)).save(p),
    "alpha.png": lambda p: Image.new("RGBA", (40, 40), (255, 0, 0, 0)).save(p),
    "palette.png": lambda p: picture().convert("P").save(p, transparency=0),
    "grey.png": lambda p: picture().convert("L").save(p),
    "wide.png": lambda p: picture(90).crop((0, 0, 90, 33)).save(p),
    "same.png": lambda p: picture(seed=4).save(p),
    "same.jpg": lambda p: picture(seed=5).save(p),
    "=1+1,'#%20 é\N{HIRAGANA LETTER A}.png": lambda p: picture(seed=6).save(p),
}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """One run over every good and every bad picture, with a single exemplar."""
    folder = tmp_path_factory.mktemp("mixed")
    for kind in ("sources", "exemplars"):
        (folder / kind).mkdir()
    picture(seed=9).save(folder / "exemplars" / "e.png")
    for name, make in {**GOOD, **{name: make for name, (make, _) in BAD.items()}}.items():
        make(folder / "sources" / name)
    (folder / "small.toml").write_text(PROFILE)
    return folder, translate(folder)


def plan(folder: Path) -> dict[str, str]:
    """{source: pair id} of a run."""
    from storage.run_store import RunStore

    pairs = RunStore.open(folder / "run").pairs
    return dict(zip(pairs["source"], pairs["id"], strict=True))


def quarantine(folder: Path) -> dict[str, str]:
    """{pair id: reason} of a run."""
    with (folder / "run" / "quarantine.csv").open(newline="", encoding="utf-8") as file:
        return {row["pair_id"]: row["reason"] for row in csv.DictReader(file)}


def test_good_pictures_go_on_beside_bad_ones(mixed: tuple[Path, Ended]) -> None:
    folder, ended = mixed
    ids = plan(folder)
    assert ended.code == 3 and not ended.errors
    assert whole(folder / "run") == sorted(f"{ids[name]}.png" for name in GOOD)
    assert set(quarantine(folder)) == {ids[name] for name in BAD}
    assert "quarantine.csv" in ended.err and f"{len(GOOD)} of {len(GOOD) + len(BAD)} pairs done" in ended.out


@pytest.mark.parametrize("name", BAD)
def test_a_bad_picture_is_quarantined_with_a_reason_in_one_line(mixed: tuple[Path, Ended], name: str) -> None:
    folder, _ = mixed
    reason = quarantine(folder)[plan(folder)[name]]
    assert name in reason and BAD[name][1] in reason and "\n" not in reason


def test_pictures_of_one_stem_are_told_apart(mixed: tuple[Path, Ended]) -> None:
    folder, ended = mixed
    ids = plan(folder)
    assert ids["same.png"] != ids["same.jpg"]
    assert "same.jpg and same.png" in ended.err


def test_unusual_pictures_mean_what_a_viewer_shows(mixed: tuple[Path, Ended]) -> None:
    from storage.run_store import RunStore

    folder, _ = mixed
    store = RunStore.open(folder / "run")
    index = {name: i for i, name in enumerate(store.pairs["source"])}
    assert store.read("warp/source", index["alpha.png"]).min() == 255  # transparent: the white behind it
    assert set(np.unique(store.read("warp/source", index["deep.png"]))) == {128}
    first = np.asarray(picture(seed=1), dtype=float).mean()
    assert abs(store.read("warp/source", index["animated.gif"]).mean() - first) < 6


def test_the_report_and_the_tables_have_every_reason(mixed: tuple[Path, Ended]) -> None:
    folder, _ = mixed
    page = (folder / "run" / "report.html").read_text(encoding="utf-8")
    assert all(name in page for name in BAD)
    table = (folder / "run" / "tables" / "pairs.csv").read_text(encoding="utf-8")
    assert table.count("quarantined") == len(BAD)


def test_doing_it_again_computes_nothing_and_tries_nothing_again(mixed: tuple[Path, Ended]) -> None:
    folder, _ = mixed
    before = {path: path.read_bytes() for path in (folder / "run" / "final").iterdir()}
    ended = translate(folder)
    assert ended.code == 3 and "nothing to compute" in ended.out
    assert {path: path.read_bytes() for path in (folder / "run" / "final").iterdir()} == before


def test_a_manifest_that_names_a_missing_exemplar_loses_that_pair_only(folder: Path) -> None:
    (folder / "pairs.csv").write_text("source,exemplar\ns0.png,e0.png\ns1.png,gone.png\n")
    ended = translate(folder, "--pairing", "pairs.csv")
    assert ended.code == 3 and len(whole(folder / "run")) == 1
    (reason,) = quarantine(folder).values()
    assert "gone.png" in reason and "does not exist" in reason


def test_when_every_pair_is_bad_there_is_still_a_report(folder: Path) -> None:
    for path in (folder / "sources").iterdir():
        path.write_bytes(b"")
    ended = translate(folder)
    assert ended.code == 3 and not ended.errors and "0 of 2 pairs done" in ended.out
    assert whole(folder / "run") == [] and (folder / "run" / "report.html").exists()


# What is wrong with the machine or the set-up: exit code 1, one line that says how to go on.


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
    """What an undisturbed run of the good pictures puts into final/."""
    folder = good_folder(tmp_path_factory.mktemp("complete"))
    assert translate(folder).code == 0
    return {path.name: path.read_bytes() for path in (folder / "run" / "final").iterdir()}


@pytest.mark.parametrize("limit", [300, 5000, 30000])
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
