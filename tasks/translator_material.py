"""What a translator's training learns from: two sides of pictures as the system wants them, and those held out."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mgi.config import ConfigError
from mgi.systems.base import Data, System, SystemConfig
from mgi.systems.conditions import CONDITIONS, classes_of
from mgi.systems.drawing import Side
from mgi.training.data import split
from storage.atomic import write_bytes
from storage.folders import InputError
from storage.training_store import TrainingStore
from tasks.conditions import read_map
from tasks.training_runs import Watcher
from tasks.training_steps import TrainingRun

DATA = "data"
"""Folder of a run where the pictures of both sides are kept."""


@dataclass(frozen=True, kw_only=True)
class TranslatorRequest(TrainingRun):
    """What the user asks for.

    Args:
        system: which.
        a, b: folders. b is None where there is one folder alone, whose pictures are B.
        condition: what A are made by, of B's pictures (`mgi.systems.conditions`); empty: A are given.
        domains: "FILE.csv:COLUMN" with the domain of every picture; empty: the subfolders are the domains.
        config: its settings, of the system's own type.
    """

    system: type[System]
    a: Path
    b: Path | None
    condition: str
    domains: str
    config: SystemConfig


@dataclass(frozen=True)
class Material:
    """Both sides; rows that are drawn, and rows that only measure. `config` has channels and domains filled in."""

    a: Side
    b: Side
    held_a: np.ndarray
    held_b: np.ndarray
    config: SystemConfig


def gather(request: TranslatorRequest, watcher: Watcher) -> Material:
    """Read everything.

    Raises:
        InputError, ConfigError: the folders are not what the system learns from; one line.
    """
    data, config = request.system.data, request.config
    check_folders(request)
    if request.b is None:
        b, names = _pictures(request.a, request.out / DATA / "b", config.size, watcher)
        known = data == "domains" or request.domains
        domains, named = _domains(request, names) if known else (np.zeros(len(b), np.int64), ())
        a, a_domains = (_made(request, b), domains) if request.condition else (b, domains)
    else:
        b, names = _pictures(request.b, request.out / DATA / "b", config.size, watcher)
        domains, named = np.zeros(len(b), np.int64), ()
        if config.labels or not _of_pictures(request.a):
            a = _maps(request, names, config)
        else:
            a, a_names = _pictures(request.a, request.out / DATA / "a", config.size, watcher)
            if data == "pairs":
                a = _matched(request, a, a_names, names)
        a_domains = np.zeros(len(a), np.int64)
    channels = a.shape[-1]
    labels = len(classes_of(request.condition)) or config.labels
    settings = config.model_dump() | {
        "labels": labels,
        "channels": 3 if labels else channels,
        "domains": named or config.domains,
    }
    filled = request.system.config_type.model_validate(settings)
    if filled.needs_labels and not filled.labels:
        raise ConfigError(
            f"{request.system.name} with these settings learns from maps of classes; use --condition segments, or "
            "bring maps and --set labels=N"
        )
    return _split(
        data,
        bool(request.condition),
        Side(a, np.arange(len(a)), a_domains),
        Side(b, np.arange(len(b)), domains),
        filled,
    )


def check_folders(request: TranslatorRequest) -> None:
    """Raise ConfigError unless the folders and options are those that the system learns from."""
    name, data = request.system.name, request.system.data
    one = data in ("domains", "folder")
    if one and (request.b is not None or request.condition):
        raise ConfigError(f"{name} learns from one folder; expected no second one and no --condition")
    if not one and request.b is None and not request.condition:
        made = ", ".join(CONDITIONS)
        raise ConfigError(f"{name} learns from A and B; give a second folder, or make A of B by --condition ({made})")
    if request.b is not None and request.condition:
        raise ConfigError("--condition makes A of one folder; expected no second folder")
    if data != "pairs" and (request.config.labels or (request.b is not None and not _of_pictures(request.a))):
        raise ConfigError(f"{name} learns from pictures on both sides; expected no maps in {request.a} and labels=0")
    if request.domains and data != "domains" and not request.system.classes:
        raise ConfigError(f"{name} knows no domains; expected no --domains")
    if request.condition and request.condition not in CONDITIONS:
        raise ConfigError(f"--condition: expected one of {', '.join(CONDITIONS)}, found {request.condition}")
    classes = len(classes_of(request.condition))
    if request.condition and request.config.labels not in (0, classes):
        raise ConfigError(f"labels: --condition {request.condition} makes {classes} classes; remove --set labels")


def _split(data: Data, made: bool, a: Side, b: Side, config: SystemConfig) -> Material:
    train, held = (np.asarray(rows) for rows in split(len(b.pixels)))
    if data == "two-folders" and made:
        # Unpaired halves of one folder: no condition's own picture is among those to learn from.
        side_a, side_b = Side(a.pixels, train[::2], a.domains), Side(b.pixels, train[1::2], b.domains)
        held_a = held_b = held
    elif data == "two-folders":
        train_a, held_a = (np.asarray(rows) for rows in split(len(a.pixels)))
        side_a, side_b, held_b = Side(a.pixels, train_a, a.domains), Side(b.pixels, train, b.domains), held
    else:
        side_a, side_b = Side(a.pixels, train, a.domains), Side(b.pixels, train, b.domains)
        held_a = held_b = held
    for side in (side_a, side_b):
        if len(side.rows) < config.batch:
            raise ConfigError(
                f"{len(side.rows)} pictures do not fill a batch of {config.batch}; add more, or use --set batch=1"
            )
    for number, name in enumerate(config.domains):
        if not (b.domains[side_b.rows] == number).any():
            raise ConfigError(f"every picture of the domain {name} is held out to measure by; bring more of it")
    return Material(side_a, side_b, held_a, held_b, config)


def _pictures(source: Path, folder: Path, size: int, watcher: Watcher) -> tuple[np.ndarray, list[str]]:
    store = TrainingStore(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pixels = store.images(source, size, watcher.decoded)
    if bad := store.left_out():
        watcher.say(f"note: {len(bad)} images are left out, such as: {next(iter(bad.values()))}")
    return pixels, list(json.loads((folder / "images.json").read_text(encoding="utf-8"))["names"])


def _of_pictures(folder: Path) -> bool:
    return not any(folder.rglob("*.npy"))


def _matched(request: TranslatorRequest, a: np.ndarray, a_names: list[str], b_names: list[str]) -> np.ndarray:
    """A in the order of B's names."""
    where = {_stem(name): row for row, name in enumerate(a_names)}
    missing = [name for name in b_names if _stem(name) not in where]
    if missing:
        raise InputError(
            f"{request.system.name} learns from pairs: {len(missing)} pictures of {request.b} have no namesake in "
            f"{request.a}, such as {missing[0]}; bring them, or take them out"
        )
    order = [where[_stem(name)] for name in b_names]
    return a if order == list(range(len(a))) else a[order]


def _stem(name: str) -> str:
    return Path(name).with_suffix("").as_posix()


def _made(request: TranslatorRequest, pictures: np.ndarray) -> np.ndarray:
    """A of every picture, made once and kept beside the pictures."""
    file = request.out / DATA / f"{request.condition}.npy"
    if not file.exists():
        make, buffer = CONDITIONS[request.condition], io.BytesIO()
        np.save(buffer, np.stack([make(picture) for picture in pictures]))
        write_bytes(file, buffer.getvalue())
    return np.load(file, mmap_mode="r")


def _maps(request: TranslatorRequest, names: list[str], config: SystemConfig) -> np.ndarray:
    """Labels [N, S, S, 1] uint8 or numbers [N, S, S, C] float16, of files called as B's pictures."""
    found = []
    for name in names:
        values = read_map(str(request.a), name)
        if config.labels:
            values = values[:1]
            if values.max() >= config.labels:
                raise InputError(
                    f"{request.a}: {name} has class {values.max():.0f}, expected below labels={config.labels}"
                )
        found.append(_square_map(values, config.size))
    if shapes := {each.shape for each in found[1:]} - {found[0].shape}:
        raise InputError(f"{request.a}: expected maps of {found[0].shape[-1]} channels, found {shapes.pop()[-1]}, too")
    return np.stack(found).astype(np.uint8 if config.labels else np.float16)


def _square_map(values: np.ndarray, size: int) -> np.ndarray:
    """[C, h, w] -> [S, S, C], the centred square by the nearest place."""
    side = min(values.shape[1:])
    top, left = ((extent - side) // 2 for extent in values.shape[1:])
    places = ((np.arange(size) + 0.5) * side / size).astype(int)
    return values[:, top + places[:, None], left + places[None, :]].transpose(1, 2, 0)


def _domains(request: TranslatorRequest, names: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """(number of each picture's domain, the domains' names)."""
    if request.domains:
        of = _column(request.domains)
        if missing := [name for name in names if Path(name).name not in of]:
            raise InputError(f"--domains {request.domains}: no row for {missing[0]}; add one, or take the picture out")
        found = [of[Path(name).name] for name in names]
    else:
        found = [Path(name).parts[0] if len(Path(name).parts) > 1 else "" for name in names]
        if "" in found:
            raise InputError(
                f"{request.a}: expected a subfolder for every domain, found {names[found.index('')]} beside them; "
                "use --domains FILE.csv:COLUMN for pictures in one folder"
            )
    known = tuple(sorted(set(found)))
    counts = {name: found.count(name) for name in known}
    few = min(counts, key=lambda name: counts[name])
    if len(known) < 2 or counts[few] < 2:
        raise InputError(f"expected at least two domains of two pictures each, found {counts}; bring more of {few}")
    return np.array([known.index(name) for name in found], np.int64), known


def _column(spec: str) -> dict[str, str]:
    """{file name: domain} of FILE.csv:COLUMN, whose column `file` names the pictures."""
    path, _, column = spec.rpartition(":")
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise InputError(f"--domains: expected FILE.csv:COLUMN, found {spec} ({error.strerror})") from None
    if not rows or "file" not in rows[0] or column not in rows[0]:
        known = ", ".join(rows[0]) if rows else "nothing"
        raise InputError(f"--domains: expected the columns file and {column} in {path}, found {known}")
    return {row["file"]: row[column] for row in rows}
