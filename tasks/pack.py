"""`mgi pack`: one copy of a run's arrays and tables for object stores and other programs.

    TO/run.zarr/  TO/tables/  TO/run.json  TO/packed.json
    TO.zip: the same, with what is in run.zarr at its root

The copy is made beside its place, read back and compared, and renamed; at an address, what makes it readable is
written last. So there is either no copy or a whole one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from mgi.config import ConfigError, RunConfig
from storage.array_spec import ArraySpec
from storage.packed import count_shards, run_specs, write_packed
from storage.parts import ENDING, is_stray, prefix_of
from storage.remote.address import checked, is_remote
from storage.run_store import RunStore, StoreCorrupt
from tasks.arrays import apart, described
from tasks.stages.ledger import Ledger
from tasks.unit import Job
from tasks.versions import versions

LIST = "packed.json"
"""What is in a copy: how much of the run, and every file with its size and sha256."""
ROOT = "run.zarr/zarr.json"
ZIP = ".zip"
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Packed:
    """What was packed: pairs, those with a result, arrays, files and bytes of the copy; where it is."""

    place: str
    pairs: int
    results: int
    arrays: int
    files: int
    size: int


def pack_run(
    run: str, to: str, partial: bool = False, progress: Progress | None = None, scratch: Path | None = None
) -> Packed:
    """Write a copy of a run's arrays, sharded and with consolidated metadata, with its tables beside it.

    Args:
        run: the run's folder.
        to: a folder or a file `*.zip` that is not there yet, or an address `s3://BUCKET/NAME`.
        partial: also of a run that is not finished, or that a command works on; only what is published is copied.
        progress: told (steps done, steps).
        scratch: where the copy is made that goes to an address; None: the system's folder for temporary files.

    Raises:
        ConfigError: there is something at `to`, or the run is not finished; one line. storage.run_lock.RunLocked: a
            command works on it. storage.run_store.StoreCorrupt: the run is damaged, or the copy is not the same when
            read back. OSError: it cannot be written.
    """
    store = RunStore.open(run)
    opened = Job.of(store).open()
    with nullcontext() if partial else store.lock():
        if not partial:
            _require_finished(Ledger(opened), run)
        specs = _specs(store, opened.config)
        with _place(to, scratch) as (folder, finish):
            steps, shards = 0, count_shards(specs, len(store.pair_ids()))

            def step() -> None:
                nonlocal steps
                steps += 1
                if progress is not None:
                    progress(steps, shards + 1)

            results = write_packed(folder / "run.zarr", store, specs, step, partial)
            _write_tables(store, opened.config, folder)
            counts = {"pairs": len(results), "results": int(results.sum()), "arrays": len(specs)}
            files = {name: _digest(folder / name) for name in _files(folder)}
            size = sum((folder / name).stat().st_size for name in files)
            about = {"mgi": versions()["mgi"], "digest": store.header["digest"], "partial": partial, **counts}
            listed = {
                _inside(Path(to), name): {"bytes": (folder / name).stat().st_size, "sha256": sha}
                for name, sha in files.items()
            }
            (folder / LIST).write_text(json.dumps({**about, "files": listed}, indent=1), encoding="utf-8")
            finish(files)
            step()
    return Packed(place=to, files=len(files), size=size, **counts)


def _require_finished(ledger: Ledger, run: str) -> None:
    ids, held = ledger.run.pair_ids(), ledger.run.store.quarantined()
    left = len(ids) - len(set(ledger.finished(ids)) | held.keys())
    if left:
        remedy = f"`mgi resume {run}` does them, --partial packs what is done"
        raise ConfigError(f"{run} has {left} of {len(ids)} pairs left to do; {remedy}")


def _specs(store: RunStore, config: RunConfig) -> dict[str, ArraySpec]:
    found = run_specs(store)
    if not found:
        raise ConfigError(f"{store.path} has no arrays to pack")
    plain = {name: described(name, ArraySpec(spec.shape, spec.dtype), config) for name, spec in found.items()}
    return apart({name: spec if spec.attributes else plain[name] for name, spec in found.items()})


def _write_tables(store: RunStore, config: RunConfig, folder: Path) -> None:
    from tasks.report.tables import write_tables

    write_tables(store, config, folder / "tables")
    shutil.copyfile(store.path / "run.json", folder / "run.json")


@contextmanager
def _place(to: str, scratch: Path | None) -> Iterator[tuple[Path, Callable[[Mapping[str, str]], None]]]:
    """A folder to make the copy in, and what brings it to its place, told {file: sha256}; it is gone afterwards."""
    if is_remote(to):
        address = checked(to)
        _require_free(address)
        with tempfile.TemporaryDirectory(dir=scratch) as name:
            yield Path(name), lambda files: _send(Path(name), address, files)
        return
    final = Path(to).absolute()
    if final.exists() and (not final.is_dir() or final.suffix == ZIP or any(final.iterdir())):
        raise ConfigError(f"{to} is there already; name another place, or remove it first")
    final.parent.mkdir(parents=True, exist_ok=True)
    for old in final.parent.glob(f".*{ENDING}"):
        if old.is_dir() and old.name.startswith(f".{final.name[:40]}.") and is_stray(old):
            shutil.rmtree(old)  # a packing that was killed
    folder = final.parent / f"{prefix_of(final)}pack{ENDING}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder, lambda files: _zip(folder, final, files) if final.suffix == ZIP else _rename(folder, final)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rename(folder: Path, final: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    folder.rename(final)


def _zip(folder: Path, final: Path, files: Mapping[str, str]) -> None:
    """One file of all; nothing is compressed again."""
    part, files = folder / f"whole{ENDING}", {**files, LIST: _digest(folder / LIST)}
    with part.open("wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in files:
            archive.write(folder / name, _inside(final, name))
        archive.close()
        file.flush()
        os.fsync(file.fileno())
    with zipfile.ZipFile(part) as archive:
        for name, sha256 in files.items():
            with archive.open(_inside(final, name)) as packed:
                if hashlib.file_digest(packed, "sha256").hexdigest() != sha256:  # type: ignore[arg-type]
                    raise StoreCorrupt(f"{final}: {name} was not read back as it was written")
    part.replace(final)


def _inside(final: Path, name: str) -> str:
    """A file's name in the copy: in a zip, arrays lie at the root, where zarr's store for such files looks."""
    return name.removeprefix("run.zarr/") if final.suffix == ZIP else name


def _require_free(address: str) -> None:
    from storage.remote.bucket import Bucket

    bucket = Bucket(address)
    for name in ("root.json", ROOT, LIST):
        if bucket.read(name) is not None:
            raise ConfigError(f"{address} is there already ({name}); name another place, or remove it first")


def _send(folder: Path, address: str, files: Mapping[str, str]) -> None:
    """Write every file as an object of its name, and read it back; what makes the copy readable comes last."""
    from storage.remote.bucket import Bucket

    bucket = Bucket(address)
    for name in [*(name for name in files if name != ROOT), ROOT, LIST]:
        data = (folder / name).read_bytes()
        bucket.write(name, data)
        found = bucket.read(name)
        if found is None or found.data != data:
            raise StoreCorrupt(f"{address}/{name} was not read back as it was written; run the command again")


def _files(folder: Path) -> list[str]:
    """All files of a copy but its list, in the order of their names."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ENDING]
    return sorted(name for path in paths if (name := path.relative_to(folder).as_posix()) != LIST)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
