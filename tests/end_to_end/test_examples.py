"""The pictures in examples/ are usable, small, and each has its licence in the README."""

from fnmatch import fnmatch
from pathlib import Path

import pytest
from places import EXAMPLES

from storage.images import read_image

PICTURES = sorted(path for kind in ("sources", "exemplars") for path in (EXAMPLES / kind).iterdir())


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_picture_can_be_read_and_has_a_licence(path: Path) -> None:
    height, width = read_image(path).pixels.shape[:2]
    assert min(height, width) >= 256 and max(height, width) <= 512
    name = path.relative_to(EXAMPLES).as_posix()
    rows = [
        line for line in (EXAMPLES / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `")
    ]
    patterns = {part.strip().strip("`"): row for row in rows for part in row.split("|")[1].split(",")}
    assert any(fnmatch(name, pattern) for pattern in patterns), f"{name} is not in examples/README.md"


def test_together_they_are_small() -> None:
    assert sum(path.stat().st_size for path in PICTURES) < 1_500_000
    assert sum("kaokore" in path.name for path in PICTURES) <= 8
