"""Bad pictures: quarantine with the reason, exit code 3, and the other pictures continue."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from processes import PROFILE, Ended, good_folder, picture, translate, whole


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with two good sources, two good exemplars and a small profile."""
    return good_folder(tmp_path)


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
