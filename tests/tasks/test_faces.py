"""A photograph of several people: the largest face, or one pair of each (`align.faces`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from damaged import mgi
from PIL import Image
from places import ROOT
from runs import make_inputs

from mgi.alignment.aligner import Aligner, NoFace
from mgi.config import Align, ConfigError
from mgi.pairs import Pair, split_face, with_face
from mgi.profiles import load_config
from storage.run_store import RunStore
from tasks.faces import count_faces
from tasks.stages.plan import Plan, Request, make_plan
from tasks.unit import Job

FACES = ("sources/generated-a.jpg", "exemplars/generated-b.jpg")


def photo_of_two(path: Path, small: float = 0.5) -> None:
    """A large face at the left and a smaller one at the right, both generated."""
    large, other = (Image.open(ROOT / "examples" / name).convert("RGB") for name in FACES)
    canvas = Image.new("RGB", (900, 600), (120, 130, 125))
    canvas.paste(large.resize((500, 500)), (20, 60))
    canvas.paste(other.resize((round(500 * small),) * 2), (590, 200))
    canvas.save(path)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "two.png"
    photo_of_two(path)
    return path


def test_names_of_faces() -> None:
    assert with_face("a.jpg", 1) == "a.jpg" and with_face("b/a.jpg", 12) == "b/a.jpg#12"
    assert split_face("b/a.jpg#12") == ("b/a.jpg", 12)
    assert split_face("a#2.jpg") == ("a#2.jpg", 1) and split_face("#") == ("#", 1)
    first, second = (Pair(with_face("a.jpg", n), "e.png").id for n in (1, 2))
    assert first == Pair("a.jpg", "e.png").id and second.startswith("a-2__e__")


@pytest.mark.slow
def test_the_largest_comes_first_and_others_by_number(photo: Path) -> None:
    pixels = np.asarray(Image.open(photo))
    for faces in ("largest", "all"):
        align = Aligner(Align(faces=faces), 64)
        first, second = align.faces(pixels)
        assert first.area > second.area and first.landmarks[2, 0] < 520 < second.landmarks[2, 0]
        crops = [align(pixels, "source", face) for face in (1, 2)]
        assert [how for _, how in crops] == ["face", "face"] and not np.array_equal(crops[0][0], crops[1][0])
        with pytest.raises(NoFace, match="expected at least 3 faces in the source, found 2"):
            align(pixels, "source", 3)


@pytest.mark.slow
def test_a_small_face_is_found_if_it_is_alone(tmp_path: Path) -> None:
    canvas = Image.new("RGB", (1200, 1000), (120, 130, 125))
    canvas.paste(Image.open(ROOT / "examples" / FACES[0]).convert("RGB").resize((150, 150)), (700, 500))
    face, *others = Aligner(Align(), 64).faces(np.asarray(canvas))
    assert not others and 700 < face.landmarks[2, 0] < 850 and face.area < (0.12 * 1000) ** 2


@pytest.mark.slow
def test_pairs_of_every_face(photo: Path, tmp_path: Path) -> None:
    exemplars = tmp_path / "exemplars"
    exemplars.mkdir()
    (exemplars / "e.jpg").write_bytes((ROOT / "examples" / FACES[1]).read_bytes())

    def plan(faces: str, limit: int | None = None, known: tuple[Pair, ...] = ()) -> Plan:
        config = load_config("embedded", {"align.faces": faces})
        return make_plan(Request(str(photo.parent), str(exemplars), config, limit=limit), known)

    both = [Pair("two.png", "e.jpg"), Pair("two.png#2", "e.jpg")]
    assert plan("largest").pairs == both[:1]
    assert plan("all").pairs == both
    assert plan("all", limit=1).pairs == both[:1]
    assert plan("all", known=(both[1],)).pairs == both[::-1]  # what a run has stays first
    assert load_config("embedded").digest() == load_config("embedded", {"align.faces": "largest"}).digest()


def test_pictures_that_cannot_be_read_keep_one_pair(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    Image.new("RGB", (90, 90)).save(tmp_path / "empty.png")
    assert count_faces(Align(faces="all"), str(tmp_path), ["bad.png", "empty.png", "gone.png"]) == {
        "bad.png": 1,
        "empty.png": 1,
        "gone.png": 1,
    }


def test_all_faces_need_a_detector() -> None:
    with pytest.raises(ConfigError, match=r'faces = "all" needs align\.mode'):
        load_config("quick", {"align.faces": "all"})


@pytest.mark.slow
def test_a_run_of_all_faces_pastes_them_into_one_photograph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGI_METHOD_FACTORY", "stub_method:load")
    inputs = make_inputs(tmp_path / "in", 1)
    for old in (inputs / "sources").iterdir():
        old.unlink()
    photo_of_two(inputs / "sources" / "two.png")
    run = inputs / "run"
    asked = ("--profile", inputs / "stub.toml", "--set", "align.mode=auto", "--faces", "all", "--paste-back")
    done = mgi("translate", inputs / "sources", inputs / "exemplars", "--out", run, *asked)
    assert done.exit_code == 0 and "1 photographs made: " in done.output, done.output
    opened = Job.of(RunStore.open(run)).open()
    pairs = opened.pair_ids()
    assert [opened.face(pair) for pair in pairs] == [1, 2]
    pasted = np.asarray(Image.open(run / "pasted" / f"{pairs[0]}.png")).astype(int)
    change = np.abs(pasted - np.asarray(Image.open(inputs / "sources" / "two.png")).astype(int)).sum(2) > 0
    assert change[:, :520].any() and change[:, 590:].any() and not change[:, 560:580].any()
    again = mgi("resume", run)
    assert again.exit_code == 0 and mgi("verify", run).exit_code == 0
