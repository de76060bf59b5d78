"""What a finished run holds, under names and in formats that people ask for: results, warps, inputs, latents."""

from __future__ import annotations

import csv
import io
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

import numpy as np

from mgi.config import ConfigError
from mgi.near import near
from mgi.pairs import split_face
from storage.atomic import write_bytes, write_text
from storage.cells import harmless
from storage.images import FORMATS, LOSSY, read_image, write_picture
from storage.run_store import RunStore
from tasks.stages.invert import LOSS, TRAJECTORY, lane_key
from tasks.stages.select import final_path
from tasks.unit import INVERT, SELECT, Job, OpenRun, picture

What = Literal["result", "warp", "source", "exemplar", "latents"]
KINDS: tuple[What, ...] = get_args(What)
PARTS = ("source", "exemplar", "pair", "hypothesis")
"""What stands in braces in a name."""
LIST = "export.csv"
UNSHOWN = (LOSS, TRAJECTORY, "features", "preview")
"""Arrays of a lane that no picture is made from."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Wanted:
    """What is exported.

    Args:
        what: kinds; several of them get a folder each.
        name: of every file, without its ending, such as `{source}--{exemplar}`; empty: `{source}`, and with its
            exemplar where that would name two files alike.
        format: how pictures end, with or without the dot.
        quality: 1 to 100 of JPEG and WebP; None: 95.
    """

    what: tuple[What, ...] = ("result",)
    name: str = ""
    format: str = "png"
    quality: int | None = None

    @property
    def parts(self) -> set[str]:
        """What stands in braces in the name."""
        return {part for _, part, _, _ in string.Formatter().parse(self.name) if part is not None}

    def suffix(self, kind: What) -> str:
        """How a file of this kind ends."""
        return ".npz" if kind == "latents" else f".{self.format.lstrip('.').lower()}"


@dataclass(frozen=True)
class Exported:
    """How many files were written, the list of them, and how many pairs have no result; some of those in quarantine."""

    files: int
    table: Path
    unfinished: int
    quarantined: int


def wanted_of(what: str, name: str, format: str, quality: int | None = None) -> Wanted:
    """What a user typed.

    Raises:
        ConfigError: an unknown kind, part or format, or a quality of a format that loses nothing.
    """
    kinds = tuple(word.strip() for word in what.split(",") if word.strip())
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigError(f"--what: unknown {kind!r}{near(kind, KINDS)}; expected some of {', '.join(KINDS)}")
    if not kinds:
        raise ConfigError(f"--what: expected some of {', '.join(KINDS)}, found nothing")
    wanted = Wanted(kinds, name, format, quality)  # type: ignore[arg-type]  # checked above
    try:
        unknown = sorted(wanted.parts - set(PARTS))
        like = "" if unknown else name.format(**dict.fromkeys(PARTS, "x"))
    except ValueError as error:
        raise ConfigError(f"--name {name}: {error}; such as {{source}}--{{exemplar}}") from None
    for part in unknown:
        known = ", ".join(f"{{{known}}}" for known in PARTS)
        raise ConfigError(f"--name {name}: unknown {{{part}}}; expected some of {known}")
    if name:
        _require_below(like, name)
    if wanted.suffix("result") not in FORMATS:
        raise ConfigError(f"--format: expected one of {', '.join(x[1:] for x in FORMATS)}, found {format}")
    if quality is not None and wanted.suffix("result") not in LOSSY:
        raise ConfigError(f"--quality {quality}: {format} loses nothing; take --format jpg or webp, or leave it out")
    return wanted


def require_outside(folder: Path, place: str, option: str) -> None:
    """Refuse a folder for copies that is `place`, a run or a folder of its pictures, or lies in it.

    Raises:
        ConfigError: copies would become part of a run, or pictures of the next one.
    """
    if folder.resolve().is_relative_to(Path(place).resolve()):
        raise ConfigError(f"{option} {folder} lies in {place}; expected a folder outside of it")


def export_run(run: str, out: Path, wanted: Wanted, progress: Progress | None = None) -> Exported:
    """Write what is wanted of every finished pair to `out`, and a list of the files, `export.csv`.

    Results keep the subfolders of their sources. A file that is there under its name is replaced.

    Args:
        run: the run's folder.
        out: where to.
        wanted: what, and how it is called.
        progress: told (pairs done, pairs).

    Raises:
        storage.run_header.NoRun: there is no run.
        ConfigError: two files would have one name, or one would replace a picture that the run is made from; the run
            has no latents or warps, or no result yet.
        storage.run_store.StoreCorrupt: something of the run is damaged.
    """
    opened = Job.of(RunStore.open(run)).open()
    everyone = opened.pair_ids()
    pairs = [pair for pair in everyone if final_path(run, pair).is_file()]
    if not pairs:
        again = " --retry" if opened.store.quarantined() else ""
        raise ConfigError(f"{run} holds no result yet; `mgi resume {run}{again}` continues it")
    if "latents" in wanted.what and not opened.config.searches:
        raise ConfigError(f"--what latents: {opened.config.method} keeps none; leave it out")
    names = _names(opened, pairs, wanted)
    _spare_inputs(opened, {_path(out, names[pair], kind, wanted) for pair in pairs for kind in wanted.what})
    rows: list[dict[str, str]] = []
    for number, pair in enumerate(pairs, start=1):
        asked = opened.pair(pair)
        for kind in wanted.what:
            path = _path(out, names[pair], kind, wanted)
            _write(opened, run, pair, kind, path, wanted.quality)
            row = {"pair_id": pair, "source": asked.source, "exemplar": asked.exemplar, "what": kind}
            rows.append({**row, "path": path.relative_to(out).as_posix()})
        if progress is not None:
            progress(number, len(pairs))
    cells = [{column: harmless(text) for column, text in row.items()} for row in rows]
    table = io.StringIO()
    writer = csv.DictWriter(table, list(cells[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(cells)
    write_text(out / LIST, table.getvalue())
    without = set(everyone) - set(pairs)
    return Exported(len(rows), out / LIST, len(without), len(without & opened.store.quarantined().keys()))


def _path(out: Path, name: str, kind: What, wanted: Wanted) -> Path:
    """A file's path: several kinds have a folder each."""
    return (out / kind if len(wanted.what) > 1 else out) / (name + wanted.suffix(kind))


def _spare_inputs(run: OpenRun, paths: set[Path]) -> None:
    """Refuse to replace what the run was made from: results may be called as their sources."""
    there = {path.resolve(): path for path in paths if path.exists()}
    inputs = {Path(name).resolve() for pair in run.pair_ids() for name in run.files(pair)} if there else set()
    for path in there.keys() & inputs:
        raise ConfigError(f"{there[path]} is a picture that the run is made from; expected another folder or format")


def _names(run: OpenRun, pairs: Sequence[str], wanted: Wanted) -> dict[str, str]:
    """{pair: its name, without an ending}."""
    short = {pair: wanted.name.format(**_parts(run, pair, wanted.name)) for pair in pairs} if wanted.name else {}
    if not wanted.name:
        short = {pair: _parts(run, pair, "")["source"] for pair in pairs}
        if len({name.casefold() for name in short.values()}) < len(pairs) and run.pair(pairs[0]).exemplar:
            short = {pair: "{source}--{exemplar}".format(**_parts(run, pair, "")) for pair in pairs}
    taken: dict[str, str] = {}
    for pair, name in short.items():
        _require_below(name, f"{name!r} for {pair}")
        if (other := taken.setdefault(name.casefold(), pair)) != pair:
            raise ConfigError(f"--name: {other} and {pair} would both be called {name}; use {{source}}--{{exemplar}}")
    return short


def _require_below(name: str, shown: str) -> None:
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or name.endswith("/"):
        raise ConfigError(f"--name: {shown} is no name below the folder; use {{source}} or {{pair}}")


def _parts(run: OpenRun, pair: str, name: str) -> dict[str, str]:
    asked = run.pair(pair)
    if "{exemplar}" in name and not asked.exemplar:
        raise ConfigError("--name: the run has no exemplars, it inverted pictures; leave {exemplar} out")
    chosen = (run.store.done(SELECT, pair) or {}).get("hypothesis", "") if "{hypothesis}" in name else ""
    return {
        "source": _stem(asked.source),
        "exemplar": PurePosixPath(_stem(asked.exemplar)).name if asked.exemplar else "",
        "pair": pair,
        "hypothesis": str(chosen),
    }


def _stem(name: str) -> str:
    """A picture's name without its ending, with its subfolder, and with the number of a further face."""
    path, face = split_face(name)
    return PurePosixPath(path).with_suffix("").as_posix() + (f"-{face}" if face > 1 else "")


def _write(run: OpenRun, place: str, pair: str, kind: What, path: Path, quality: int | None) -> None:
    facts = {"mgi:pair": pair, "mgi:config": run.job.digest, "mgi:what": kind}
    if kind == "latents":
        buffer = io.BytesIO()
        np.savez(buffer, **_latents(run, pair))
        write_bytes(path, buffer.getvalue())
        return
    if kind == "result":
        facts["mgi"] = "generated image"
        write_picture(path, read_image(final_path(place, pair)).pixels, facts, quality)
        return
    try:
        write_picture(path, picture(run.store, pair, kind), facts, quality)
    except KeyError:
        raise ConfigError(f"--what {kind}: {run.config.method} keeps none ({pair}); leave it out") from None


def _latents(run: OpenRun, pair: str) -> dict[str, Any]:
    """Arrays that the chosen hypothesis's picture is rendered from, by name."""
    chosen = (run.store.payload(SELECT, pair) or {})["hypothesis"]
    key = lane_key(pair, chosen)
    names = (run.store.marker(INVERT, key) or {"arrays": ()})["arrays"]
    kept = [name for name in names if name.partition("/")[0] not in UNSHOWN]
    found: dict[str, Any] = {name.partition("/")[0]: run.store.value(INVERT, key, name) for name in kept}
    return {**found, "hypothesis": np.array(chosen)}
