"""Plain values that are needed once more, in the order in which they came, and are too many to hold."""

from __future__ import annotations

import marshal
import struct
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_SIZE = struct.Struct("<Q")


class Spool:
    """A file without a name that holds them; it is gone with this object or this process, however that ends.

    Values are dicts, lists, numbers and texts. `marshal` is five times faster than JSON and may be used because nobody
    else can write into the file.
    """

    def __init__(self, folder: str | Path) -> None:
        """Open the file on the disk of a folder, not in the machine's folder for such files, which may be memory."""
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, value: Any) -> None:
        """Append a value."""
        data = zlib.compress(marshal.dumps(value), 1)
        self._file.write(_SIZE.pack(len(data)) + data)

    def __iter__(self) -> Iterator[Any]:
        """All values from the first on; none may be added meanwhile."""
        self._file.seek(0)
        while size := self._file.read(_SIZE.size):
            yield marshal.loads(zlib.decompress(self._file.read(*_SIZE.unpack(size))))
