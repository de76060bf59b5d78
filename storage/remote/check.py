"""Is everything that is published still what was published?"""

from __future__ import annotations

from storage.remote.download import Damaged, contents
from storage.remote.mirror import Mirror


def damaged_files(mirror: Mirror) -> dict[str, str]:
    """Read every published file; returns {path: what is wrong with it}."""
    files = {path: row.pieces for path, row in mirror.index.rows.items()}
    read = contents(mirror.bucket, files)
    return {path: str(data) for path, data in read if isinstance(data, Damaged)}


def send_again(mirror: Mirror, paths: list[str]) -> int:
    """Have damaged files published again from the copy, as far as it has them; returns how many it has.

    Those that it does not have leave the address with the next push, and what vouches for them is taken back by
    `mgi verify --repair`.
    """
    here = {path for path in paths if (mirror.path / path).is_file()}
    mirror.index.distrusted |= here
    return len(here)
