"""Whether workers somewhere else would compute what this command would: same packages, same code, same weights.

Two versions of PyTorch, or two checkpoints under one name, give other pictures without an error. So the workers of a
scheduler are asked once before the first unit, and each compares again before every call: workers join and are replaced
while a run goes on.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgi import addresses
from storage import run_header
from tasks.workers.watch import ClusterError

if TYPE_CHECKING:
    from distributed import Client

NAMES = ("mgi", "dask", "distributed", "torch", "numpy", "pillow", "zarr", "numcodecs", "pandas")
"""Packages that compute, keep or carry results."""
OF_SCHEDULER = ("python", "dask", "distributed")
"""What a scheduler, which computes nothing, has to share."""
ABSENT = "none"
REMEDY = "start scheduler and workers from the environment or image that this command has"

Packages = tuple[tuple[str, str], ...]
"""(name, version), hashable and small: it travels with every call."""


@lru_cache(maxsize=1)
def packages() -> Packages:
    """What this process computes with: Python, packages, and a hash of our own code, whose version rarely changes."""
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in NAMES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ABSENT
    return (*found.items(), ("code of mgi", _code()))


def _code() -> str:
    digest = hashlib.sha256()
    for folder in (Path(addresses.__file__).parent, Path(run_header.__file__).parent, Path(__file__).parents[1]):
        for file in sorted(folder.rglob("*.py")):
            digest.update(f"{file.relative_to(folder.parent)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:8]


def differences(there: Mapping[str, str], here: Mapping[str, str]) -> str:
    """What differs, in one line; empty if nothing does. A name that one side lacks, or without a value, does not count.

    Example:
        >>> differences({"torch": "2.14.0", "numpy": "2.4"}, {"torch": "2.15.0", "numpy": "2.4", "a.pth": ""})
        'torch 2.14.0 there, 2.15.0 here'
    """
    found = [(name, there[name], here[name]) for name in here if here[name] and there.get(name)]
    return "; ".join(f"{name} {theirs} there, {ours} here" for name, theirs, ours in found if theirs != ours)


def refuse_other_packages(expected: Packages) -> None:
    """On a worker: check that it has the packages of the command.

    Raises:
        ClusterError: it has others; one line that says which, and what to do.
    """
    if expected and (said := differences(dict(packages()), dict(expected))):
        from distributed import get_worker

        raise ClusterError(f"worker {get_worker().address} computes with other packages: {said}; {REMEDY}")


def require_agreement(client: Client, workers: Iterable[str], weights: Mapping[str, str], config_json: str) -> None:
    """Ask a scheduler and those of its workers that may get units.

    Args:
        client: connected to the scheduler.
        workers: addresses.
        weights: {name: sha256} of what the configuration loads, as this command has it.
        config_json: the configuration.

    Raises:
        ClusterError: they differ; one line that names who, what, and what to do.
    """
    here = dict(packages())
    asked: Any = client.get_versions()
    server = dict(asked["scheduler"]["packages"])
    server["python"] = ".".join(str(server["python"]).split(".")[:2])
    if said := differences(server, {name: here[name] for name in OF_SCHEDULER}):
        raise ClusterError(f"the scheduler runs other packages: {said}; {REMEDY}")
    answers: dict[str, Any] = client.run(_asker(config_json), workers=list(workers), on_error="return")
    wrong: dict[str, list[str]] = {}
    for address, answer in answers.items():
        if said := _said(answer, here, weights):
            wrong.setdefault(said, []).append(address)
    if wrong:
        said, those = max(wrong.items(), key=lambda found: len(found[1]))
        who = f"worker {those[0]}" + (f" and {len(those) - 1} more" if len(those) > 1 else "")
        others = sum(map(len, wrong.values())) - len(those)
        more = f" ({others} others differ in another way)" if others else ""
        raise ClusterError(f"{who} of {len(answers)}: {said}{more}")


def _said(answer: Any, here: Mapping[str, str], weights: Mapping[str, str]) -> str:
    """What is wrong with a worker, by its answer; empty: nothing."""
    if isinstance(answer, OSError):
        return ""  # it went away while it was asked
    if isinstance(answer, Exception):
        return f"cannot say what it computes with ({type(answer).__name__}: {answer}); {REMEDY}"
    if "error" in answer:
        return f"cannot import mgi ({answer['error']}); install it there, or {REMEDY}"
    if said := differences(answer["packages"], here):
        return f"computes with other packages: {said}; {REMEDY}"
    short = {name: sha256[:12] for name, sha256 in weights.items()}
    if said := differences({name: sha256[:12] for name, sha256 in answer["weights"].items()}, short):
        return f"has other weights under the same name: {said}; bring the same files there"
    return ""


def _asker(config_json: str) -> Callable[[], Any]:
    """A question that travels by value: a worker that has no mgi, or another one, can answer it as well."""

    async def ask() -> dict[str, Any]:
        import asyncio

        def answer() -> dict[str, Any]:
            try:
                from tasks.workers.agreement import packages, weights_of
            except ImportError as error:
                return {"error": str(error)}
            return {"packages": dict(packages()), "weights": weights_of(config_json)}

        return await asyncio.to_thread(answer)  # imports and hashes take seconds, in which the worker has to answer

    return ask


def weights_of(config_json: str) -> dict[str, str]:
    """{name: sha256} of what a configuration loads in this process."""
    from mgi.config import RunConfig
    from tasks.method import FACTORY
    from tasks.stages.plan import weight_hashes

    if FACTORY in os.environ:  # a stand-in loads none
        return {}
    return weight_hashes(RunConfig.model_validate_json(config_json))
