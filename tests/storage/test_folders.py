"""Listing folders and pairing their images."""

import os

import pytest

from storage.folders import InputError, duplicate_stems, list_images, make_pairs


def fill(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


@pytest.fixture
def sources(tmp_path):
    return fill(tmp_path / "s", "c.png", "a.JPG", "b/d.webp", "notes.txt", ".hidden.png", ".cache/x.png")


@pytest.fixture
def exemplars(tmp_path):
    return fill(tmp_path / "e", "y.png", "x.png")


def test_images_are_listed_below_the_folder_sorted(sources):
    assert list_images(sources) == ["a.JPG", "b/d.webp", "c.png"]


def test_results_of_a_run_inside_the_folder_are_not_inputs(sources):
    fill(sources / "run", "final/p.png", "preview.png", "run.zarr/zarr.json")
    assert list_images(sources) == ["a.JPG", "b/d.webp", "c.png"]


@pytest.mark.parametrize("make", ["missing", "file", "empty", "text only"])
def test_folders_that_hold_nothing_are_one_line(tmp_path, make):
    folder = tmp_path / "input"
    if make == "file":
        folder.write_text("")
    elif make != "missing":
        fill(folder, *(["a.txt"] if make == "text only" else []))
        folder.mkdir(exist_ok=True)
    with pytest.raises(InputError) as error:
        list_images(folder)
    assert str(folder) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list everything")
def test_folders_without_permission_are_one_line(sources):
    (sources / "b").chmod(0)
    with pytest.raises(InputError, match="permissions"):
        list_images(sources)


def test_duplicate_stems_are_told(tmp_path):
    folder = fill(tmp_path / "d", "a.png", "a.jpg", "b.png", "sub/b.png")
    (warning,) = duplicate_stems(folder)
    assert "a.jpg and a.png" in warning


def test_zip_goes_by_sorted_order(sources, tmp_path):
    exemplars = fill(tmp_path / "three", "3.png", "1.png", "2.png")
    expected = [("a.JPG", "1.png"), ("b/d.webp", "2.png"), ("c.png", "3.png")]
    assert make_pairs(sources, exemplars, "zip", None, 0) == expected
    assert make_pairs(sources, exemplars, "zip", 2, 0) == expected[:2]


def test_zip_repeats_a_single_image(sources, tmp_path):
    one = fill(tmp_path / "one", "1.png")
    assert make_pairs(sources, one, "zip", None, 0) == [(s, "1.png") for s in ("a.JPG", "b/d.webp", "c.png")]
    assert make_pairs(one, sources, "zip", None, 0) == [("1.png", s) for s in ("a.JPG", "b/d.webp", "c.png")]
    assert make_pairs(one, one, "zip", None, 0) == [("1.png", "1.png")]


def test_zip_of_other_counts_is_refused(sources, exemplars):
    with pytest.raises(InputError, match="found 3 sources and 2 exemplars"):
        make_pairs(sources, exemplars, "zip", None, 0)


def test_product_goes_source_by_source(sources, exemplars):
    pairs = make_pairs(sources, exemplars, "product", None, 0)
    assert len(pairs) == 6 and pairs[:3] == [("a.JPG", "x.png"), ("a.JPG", "y.png"), ("b/d.webp", "x.png")]


def test_random_depends_on_the_seed_only_and_uses_all_exemplars(tmp_path, exemplars):
    sources = fill(tmp_path / "many", *(f"{i:02d}.png" for i in range(20)))
    pairs = make_pairs(sources, exemplars, "random", None, 5)
    assert pairs == make_pairs(sources, exemplars, "random", None, 5)
    assert pairs != make_pairs(sources, exemplars, "random", None, 6)
    assert [source for source, _ in pairs] == list_images(sources)
    assert [exemplar for _, exemplar in pairs].count("x.png") == 10
    assert make_pairs(sources, exemplars, "random", 3, 5) == pairs[:3]


def test_a_csv_names_pairs_even_of_missing_files(sources, exemplars, tmp_path):
    table = tmp_path / "PAIRS.csv"
    table.write_text("\ufeffnote, exemplar ,source\nhello,x.png,a.JPG\n,gone.png, b/d.webp\n", encoding="utf-8")
    expected = [("a.JPG", "x.png"), ("b/d.webp", "gone.png")]
    assert make_pairs(sources, exemplars, str(table), None, 0) == expected
    assert make_pairs(sources, exemplars, str(table), 1, 0) == expected[:1]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "does not exist"),
        (b"", "found none"),
        (b"source,style\na,b\n", "found source, style"),
        (b"source,exemplar\n", "lists no pairs"),
        (b"source,exemplar\na.JPG\n", "row 2"),
        (b"source,exemplar\na.JPG,x.png\n,x.png\n", "row 3"),
        (b"source,exemplar\n\xff\xfe,x\n", "UTF-8"),
    ],
)
def test_unusable_csv_files_are_one_line(sources, exemplars, tmp_path, content, reason):
    table = tmp_path / "pairs.csv"
    if content is not None:
        table.write_bytes(content)
    with pytest.raises(InputError, match=reason) as error:
        make_pairs(sources, exemplars, str(table), None, 0)
    assert "\n" not in str(error.value)


def test_unusable_arguments_are_one_line(sources, exemplars, tmp_path):
    with pytest.raises(InputError, match="unknown pairing 'ziip'"):
        make_pairs(sources, exemplars, "ziip", None, 0)
    with pytest.raises(InputError, match="at least 1"):
        make_pairs(sources, exemplars, "zip", 0, 0)
    (tmp_path / "p.csv").write_text("source,exemplar\na,b\n")
    with pytest.raises(InputError, match="relative to it"):
        make_pairs(sources, tmp_path / "nowhere", str(tmp_path / "p.csv"), None, 0)
