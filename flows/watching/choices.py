"""What forms offer: the values that the parameters of Prefect flows can have, with every name that is installed.

Each is a choice of names, and where the command also takes a file, a second kind of value. The server checks them when
a run is asked for, so a mistyped name is refused before anything starts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import Field

from flows.settings import MOST_WORKERS
from mgi.config import RULES
from mgi.profiles.loading import profile_names
from mgi.translators.registry import REGISTRY
from storage.folders import PAIRINGS
from storage.images import FORMATS
from tasks.suites.suite import shipped

Folder = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0)]
WorkerCount = (
    Annotated[Literal["auto"], Field(title="as many as fit")]
    | Annotated[int, Field(ge=0, le=MOST_WORKERS, title="number of processes")]
)
Warp = Annotated[Literal["plain", "oeft"], Field(title="warp")]
Faces = Annotated[Literal["largest", "all"], Field(title="faces")]

if TYPE_CHECKING:
    Profile: TypeAlias = str
    Pairing: TypeAlias = str
    Method: TypeAlias = str
    Degrade: TypeAlias = str
    Format: TypeAlias = str
    Rule: TypeAlias = str
    SuiteName: TypeAlias = str | dict[str, Any]
else:

    def _one(names: Iterable[str], title: str) -> Any:
        return Annotated[Literal[tuple(names)], Field(title=title)]

    def _file(ending: str, title: str) -> Any:
        return Annotated[str, Field(pattern=rf"\.({ending}|{ending.upper()})$", title=title)]

    Profile = _one(profile_names(), "shipped profile") | _file("toml", "profile in a .toml file")
    Pairing = _one(PAIRINGS, "rule") | _file("csv", "pairs in a .csv file")
    Method = _one([name for name in REGISTRY.rows if name != "given"], "method")
    Degrade = (
        _one(("down2", "down4", "down8", "down16", "gray", "mask", "strokes", "rain", "rain-layers"), "one damage")
        | Annotated[str, Field(title="several, such as rain+mask:hole.png+down2, or noise25, jpeg30")]
    )
    Format = _one(sorted({suffix[1:] for suffix in FORMATS} - {"jpeg", "tif"}), "format")
    Rule = _one(RULES, "rule")
    SuiteName = (
        _one(shipped(), "shipped suite")
        | _file("toml", "suite in a .toml file")
        | Annotated[dict[str, Any], Field(title="suite as data")]
    )
