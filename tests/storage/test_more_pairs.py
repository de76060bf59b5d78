"""Folders that hold more images than a run has pairs of: old pairs stay, new images get a pair."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from storage.folders import InputError, make_pairs
from storage.more_pairs import NamePair, more_pairs

ZIPPED = [("b", "y"), ("d", "z")]


def names(pairs: Sequence[NamePair]) -> list[NamePair]:
    return [(source.removesuffix(".png"), exemplar.removesuffix(".png")) for source, exemplar in pairs]


class Folders:
    """Two folders of empty images with names of one letter, and a CSV file."""

    def __init__(self, root: Path, sources: str, exemplars: str) -> None:
        self.root = root
        for side, letters in (("sources", sources), ("exemplars", exemplars)):
            (root / side).mkdir()
            for letter in letters:
                (root / side / f"{letter}.png").touch()

    def plain(self, pairing: str, limit: int | None = None, seed: int = 0) -> list[NamePair]:
        return names(make_pairs(self.root / "sources", self.root / "exemplars", pairing, limit, seed))

    def more(self, known: list[NamePair], pairing: str, limit: int | None = None, seed: int = 0) -> list[NamePair]:
        had = [(f"{source}.png", f"{exemplar}.png") for source, exemplar in known]
        return names(more_pairs(had, self.root / "sources", self.root / "exemplars", pairing, limit, seed))


@pytest.mark.parametrize(
    ("sources", "exemplars", "added"),
    [
        ("bde", "yz0", [("e", "0")]),  # sorts before all exemplars: zip alone would move every pair
        ("abd", "xyz", [("a", "x")]),
        ("abcd", "wxyz", [("a", "w"), ("c", "x")]),
        ("bd", "yz", []),
    ],
)
def test_zip_pairs_only_images_that_no_pair_uses(tmp_path: Path, sources: str, exemplars: str, added: object) -> None:
    assert Folders(tmp_path, sources, exemplars).more(ZIPPED, "zip") == [*ZIPPED, *added]  # type: ignore[misc]


def test_zip_at_the_end_is_what_it_would_have_been_from_the_beginning(tmp_path: Path) -> None:
    folders = Folders(tmp_path, "abcde", "vwxyz")
    known = folders.plain("zip", limit=2)
    for limit in (2, 4, None):
        assert folders.more(known, "zip", limit) == folders.plain("zip", limit)


def test_new_images_that_do_not_zip_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found 2 new sources and 0 new exemplars"):
        Folders(tmp_path, "abcd", "yz").more(ZIPPED, "zip")


def test_images_that_are_gone_take_their_pair_with_them_and_set_no_other_free(tmp_path: Path) -> None:
    assert Folders(tmp_path, "de", "xyz").more(ZIPPED, "zip") == [("d", "z"), ("e", "x")]


@pytest.mark.parametrize(("sources", "exemplars"), [("abc", "z"), ("z", "abc")])
def test_a_single_image_is_repeated(tmp_path: Path, sources: str, exemplars: str) -> None:
    folders = Folders(tmp_path, sources, exemplars)
    whole = folders.plain("zip")
    assert folders.more([whole[2]], "zip") == [whole[2], *whole[:2]]


def test_product_adds_what_is_lacking_within_the_limit(tmp_path: Path) -> None:
    folders = Folders(tmp_path, "ab", "xyz")
    known = [("a", "y"), ("b", "y")]
    rest = [("a", "x"), ("a", "z"), ("b", "x"), ("b", "z")]
    assert folders.more(known, "product") == [*known, *rest]
    assert folders.more(known, "product", limit=3) == [*known, rest[0]], "the limit counts what is there"


def test_a_csv_file_adds_its_new_rows(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("source,exemplar\na.png,x.png\nb.png,y.png\n", encoding="utf-8")
    assert Folders(tmp_path, "ab", "xy").more([("b", "y"), ("c", "y")], str(rows)) == [("b", "y"), ("a", "x")]


def test_random_goes_on_with_the_same_drawing_while_it_can(tmp_path: Path) -> None:
    folders = Folders(tmp_path, "abcdef", "uvwxyz")
    known = folders.plain("random", limit=2, seed=3)
    assert folders.more(known, "random", seed=3) == folders.plain("random", seed=3)


def test_random_draws_for_new_sources_alone_where_the_drawing_moved(tmp_path: Path) -> None:
    known = [("b", "x"), ("c", "y")]
    found = Folders(tmp_path, "abcd", "wxyz").more(known, "random", seed=1)
    assert found[:2] == known
    assert [source for source, _ in found[2:]] == ["a", "d"]
    assert {exemplar for _, exemplar in found[2:]} == {"w", "z"}, "unused exemplars come first"
    assert found == more_again(tmp_path, found, seed=1), "and nothing is added twice"


def more_again(folder: Path, known: list[NamePair], seed: int) -> list[NamePair]:
    had = [(f"{source}.png", f"{exemplar}.png") for source, exemplar in known]
    return names(more_pairs(had, folder / "sources", folder / "exemplars", "random", None, seed))
