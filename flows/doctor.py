"""Checks of an installation: what is there, what is wrong, and what to do about it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from mgi.addresses import shown
from mgi.devices import native_bf16
from tasks.versions import versions
from tasks.workers.sizing import default_workers, threads_per_worker, total_memory, usable_cores, visible_gpus

Level = Literal["ok", "note", "bad"]

FREE_BYTES = 2 * 2**30
"""With less free space than this, weights and a small run may not fit."""


@dataclass(frozen=True)
class Check:
    """One line of the doctor's report; `advice` says what to do if something is not ok."""

    level: Level
    subject: str
    found: str
    advice: str = ""


def examine() -> list[Check]:
    """Every check, in the order of the report; none raises, and none shows a password."""
    checks: list[Check] = []
    for examination in (
        _versions,
        _requirements,
        _extras,
        _known_bad,
        _torch,
        _workers,
        _weights,
        _disk,
        _prefect,
        _environment,
    ):
        try:
            checks += examination()
        except Exception as error:
            name = examination.__name__.strip("_")
            checks.append(Check("bad", name, f"{type(error).__name__}: {error}", "reinstall the package"))
    return [replace(check, found=shown(check.found), advice=shown(check.advice)) for check in checks]


def _versions() -> list[Check]:
    found = versions()
    missing = [name for name, text in found.items() if text == "absent"]
    advice = f"install them: pip install {' '.join(missing)}" if missing else ""
    return [Check("bad" if missing else "ok", "versions", ", ".join(f"{k} {v}" for k, v in found.items()), advice)]


def _requirements() -> list[Check]:
    """Whether installed versions are those we require: later upgrades by hand break Prefect in ways hard to see."""
    from packaging.requirements import Requirement

    broken = []
    for text in requires("mgi") or []:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            broken.append(f"{requirement} is missing")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            broken.append(f"{requirement} expected, {found} found")
    if broken:
        return [Check("bad", "requirements", "; ".join(broken), "pip install --upgrade --force-reinstall mgi")]
    return [Check("ok", "requirements", "all satisfied")]


def _extras() -> list[Check]:
    """Which extras are here, as pip would install them; none of them has to be."""
    from flows.extras import extras

    found = extras()
    here = ", ".join(name for name, missing in found.items() if not missing) or "none"
    absent = [name for name, missing in found.items() if missing]
    if not absent:
        return [Check("ok", "extras", here)]
    return [Check("ok", "extras", f"{here}; not here: {', '.join(absent)}", "pip install 'mgi[NAME]' adds one")]


def _known_bad() -> list[Check]:
    """Versions that install and import, and then break: a line for each."""
    from flows.known_bad import KNOWN_BAD, installed_bad

    hits = [
        Check("bad", "known bad", f"{row.package} {found}: {row.breaks}", f"pip install {row.instead}")
        for row, found in installed_bad()
    ]
    return hits or [Check("ok", "known bad", f"none of {len(KNOWN_BAD)} versions that are known to break")]


def _torch() -> list[Check]:
    import torch

    package = find_spec("torchvision")
    places = package.submodule_search_locations or () if package else ()
    libraries = [str(library) for place in places for library in Path(place).glob("_C*.so")]
    # A build that does not match torch fails here. The package itself takes two seconds to import, its library none.
    if libraries:
        torch.ops.load_library(libraries[0])
    else:
        import torchvision  # noqa: F401
    torch.ops.torchvision.nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([1.0]), 0.5)
    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    arithmetic = "bf16 natively" if native_bf16("cpu") else "fp32"
    device = f"cuda: {', '.join(gpus)}" if gpus else f"cpu, computes {arithmetic}"
    return [Check("ok", "device", f"{device}; {torch.get_num_threads()} threads, {usable_cores()} cores usable")]


def _workers() -> list[Check]:
    count = default_workers()
    per_process = threads_per_worker(count)
    found = f"auto = {count} ({per_process} threads each, {len(visible_gpus())} GPUs, {total_memory() / 2**30:.0f} GiB)"
    return [Check("ok", "workers", found)]


def _weights() -> list[Check]:
    from mgi.weights import entries, folder, state

    states = {entry.name: state(entry) for entry in entries()}
    embedded = [entry.name for entry in entries() if entry.embedded]
    here = [name for name, found in states.items() if found == "here"]
    checks = [Check("ok", "weights", f"{folder()}: {', '.join(here) or 'none yet'}")]
    corrupt = [name for name, found in states.items() if found == "corrupt"]
    if corrupt:
        checks.append(
            Check("bad", "weights", f"damaged: {', '.join(corrupt)}", f"mgi weights fetch {' '.join(corrupt)}")
        )
    missing = [name for name in embedded if states[name] == "missing"]
    if missing:
        advice = "mgi weights fetch --embedded (or the first run fetches what it needs)"
        checks.append(Check("note", "weights", f"not here yet: {', '.join(missing)}", advice))
    return checks


def _disk() -> list[Check]:
    from mgi.weights import folder

    checks = []
    for subject, path in (("weights disk", folder()), ("current disk", Path.cwd())):
        existing = next(parent for parent in (path, *path.parents) if parent.exists())
        free = shutil.disk_usage(existing).free
        writable = os.access(existing, os.W_OK)
        found = f"{free / 2**30:.1f} GiB free at {existing}{'' if writable else ', not writable'}"
        if not writable and subject == "weights disk":
            checks.append(Check("note", subject, found, "set MGI_WEIGHTS_DIR to a folder that you may write"))
        elif free < FREE_BYTES:
            checks.append(Check("bad", subject, found, "free some space or work on another disk"))
        else:
            checks.append(Check("ok", subject, found))
    return checks


def _prefect() -> list[Check]:
    from flows.settings import load_settings, use_prefect

    url = os.environ.get("PREFECT_API_URL")
    if not use_prefect(load_settings()):
        return [Check("ok", "prefect", "no server (PREFECT_API_URL is not set): commands run without one")]
    if not url:
        return [Check("ok", "prefect", "MGI_PREFECT=always: a temporary server per command")]
    return [_reach(url)]


def _reach(url: str) -> Check:
    import requests  # takes a user and a password in the address, unlike urllib, which repeats them in its error

    from mgi.weights.web import reason

    try:
        requests.get(f"{url.rstrip('/')}/health", timeout=5).raise_for_status()
    except (requests.RequestException, ValueError) as error:
        advice = "start it with `prefect server start`, or unset PREFECT_API_URL to work without"
        return Check("bad", "prefect", f"no server answers at {url} ({reason(error)})", advice)
    return Check("ok", "prefect", f"server at {url}")


def _environment() -> list[Check]:
    from flows.settings import load_settings

    load_settings()
    names = sorted(name for name in os.environ if name.startswith("MGI_"))
    values = " ".join(f"{name}={os.environ[name]}" for name in names)
    return [Check("ok", "environment", values or "no MGI_* variable")]
