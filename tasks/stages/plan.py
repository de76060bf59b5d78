"""Before the first stage: the pairs and hypotheses of a run, what they will cost, and the run's folder."""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from mgi.config import ConfigError, RunConfig, planned_steps
from mgi.own_files import own_hashes, require_own_files
from mgi.pairs import Pair, split_face, with_face
from storage.folders import duplicate_stems, list_images, make_pairs
from storage.more_pairs import more_pairs
from storage.run_store import RunStore
from tasks.arrays import picture_specs
from tasks.method import Layout
from tasks.stages.invert import array_name
from tasks.versions import versions


@dataclass(frozen=True)
class Request:
    """What the user asks for: the arguments of `mgi translate` or `mgi invert` that decide the result."""

    sources: str
    exemplars: str
    config: RunConfig
    pairing: str = "zip"
    limit: int | None = None
    seed: int = 0

    def inputs(self) -> dict[str, Any]:
        """The part of the run's identity that is not configuration; a run is only resumed with the same one."""
        pairing = str(Path(self.pairing).resolve()) if self.pairing.endswith(".csv") else self.pairing
        return {
            "sources": str(Path(self.sources).resolve()),
            "exemplars": str(Path(self.exemplars).resolve()) if self.exemplars else "",
            "pairing": pairing,
            "limit": self.limit,
            "seed": self.seed,
        }


@dataclass(frozen=True)
class Plan:
    """A request with its pairs."""

    request: Request
    pairs: list[Pair]
    warnings: list[str] = field(default_factory=list)

    @cached_property
    def hypotheses(self) -> list[str]:
        """Ids of the hypotheses of every pair."""
        return [hypothesis.id for hypothesis in self.request.config.hypotheses()]

    @property
    def lanes(self) -> int:
        """Inversions to run: every hypothesis of every pair."""
        return len(self.pairs) * len(self.hypotheses)

    @property
    def lane_steps(self) -> int:
        """Optimisation steps of all lanes together."""
        config = self.request.config
        return len(self.pairs) * planned_steps(config.inversion) if config.searches else 0

    def table(self) -> pd.DataFrame:
        """The pairs as the store keeps them: index, id, source, exemplar."""
        rows = [
            {"index": index, "id": pair.id, "source": pair.source, "exemplar": pair.exemplar}
            for index, pair in enumerate(self.pairs)
        ]
        return pd.DataFrame(rows, columns=["index", "id", "source", "exemplar"])


def make_plan(request: Request, known: Sequence[Pair] = ()) -> Plan:
    """Pair the images of both folders; writes nothing, and reads no image unless all faces of each are wanted.

    Args:
        request: what is asked for.
        known: pairs of a run that stay as they are where their images are still there, see `storage.more_pairs`.

    Raises:
        storage.folders.InputError: a folder or the pairing cannot be used.
        ConfigError: nothing to do, or a file that the configuration names is not there.
    """
    require_own_files(request.config)
    pictures = list(dict.fromkeys(Pair(split_face(pair.source)[0], pair.exemplar) for pair in known))
    if request.config.task == "invert":
        had = {pair.source for pair in pictures}
        names = sorted(list_images(request.sources), key=lambda name: name not in had)
        alone = [Pair(name, "") for name in names[: request.limit]]
        return Plan(request, pairs_of_faces(alone, request, known), duplicate_stems(request.sources))
    asked = (request.sources, request.exemplars, request.pairing, request.limit, request.seed)
    named = more_pairs([(pair.source, pair.exemplar) for pair in pictures], *asked) if known else make_pairs(*asked)
    pairs = pairs_of_faces([Pair(source, exemplar) for source, exemplar in named], request, known)
    if not pairs:
        raise ConfigError(f"no pairs: {request.sources} and {request.exemplars} give none with this pairing and limit")
    unique = list(dict.fromkeys(pairs))
    repeated = len(pairs) - len(unique)
    warnings = [f"{repeated} repeated pairs are translated once"] if repeated else []
    if not request.pairing.endswith(".csv"):
        for folder in dict.fromkeys((request.sources, request.exemplars)):
            warnings += duplicate_stems(folder)
    return Plan(request, unique, warnings)


def pairs_of_faces(pairs: list[Pair], request: Request, known: Sequence[Pair]) -> list[Pair]:
    """One pair of each face of every source if `align.faces` says so; pairs of the run come first, as they were."""
    if request.config.align.faces == "largest":
        return pairs
    from tasks.faces import count_faces  # imports PyTorch

    counts = count_faces(request.config.align, request.sources, [pair.source for pair in pairs])
    every = [Pair(with_face(p.source, n), p.exemplar) for p in pairs for n in range(1, counts[p.source] + 1)]
    had = set(known)
    return sorted(every, key=lambda pair: pair not in had)[: request.limit]


def create_run(plan: Plan, run: str, layout: Layout, threads: int | None) -> RunStore:
    """Make the run's folder.

    Args:
        plan: the plan.
        run: folder of the run.
        layout: `tasks.method.layout_of` this configuration.
        threads: CPU threads per worker, kept with the run, because they decide the order of float sums: a run that is
            resumed on another machine still gives the same bytes.

    Raises:
        storage.run_store.RunConflict: the folder holds a run with another configuration or other inputs.
    """
    arrays = picture_specs(plan.request.config, layout.picture)
    for hypothesis, specs in layout.arrays.items():
        arrays |= {array_name(name, hypothesis): spec for name, spec in specs.items()}
    return RunStore.create(run, header_of(plan, threads), plan.table(), arrays)


def header_of(plan: Plan, threads: int | None = None) -> dict[str, Any]:
    """run.json: what was asked for, what computes it, and when it began."""
    config = plan.request.config
    return {
        "config": config.model_dump(mode="json"),
        "digest": config.digest(),
        "inputs": plan.request.inputs(),
        "threads": threads,
        "versions": versions(),
        "weights": weight_hashes(config),
        "stand_ins": stand_ins(config),
        "git_revision": git_revision(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
    }


def weight_names(config: RunConfig) -> list[str]:
    """Zoo names, or the file of the generator, of the networks that a configuration uses."""
    from mgi.translators.networks import needs

    return list(needs(config))


def weight_hashes(config: RunConfig) -> dict[str, str]:
    """{name: sha256} of the files that decide the pixels: networks, shipped statistics, mask and domain."""
    from mgi.statistics import shipped_files
    from mgi.weights import zoo

    known = {entry.name: zoo.expected_sha256(entry) or "" for entry in zoo.entries()}
    hashes = {name: known[name] for name in weight_names(config) if name in known}
    for file in shipped_files(config.generator):
        hashes[file.name] = zoo.sha256_of(file)
    return hashes | own_hashes(config)


def stand_ins(config: RunConfig) -> dict[str, str]:
    """{name: what it is} of the networks that only stand in for real ones; such a run only shows that it works."""
    from mgi.weights import stand_in

    found = {name: stand_in(name) for name in weight_names(config)}
    return {name: label for name, label in found.items() if label}


def git_revision() -> str | None:
    """Commit of the running checkout, with `+changes` if files differ from it; None outside a checkout."""
    here = Path(__file__).resolve().parents[1]

    def git(*args: str) -> str:
        command = ["git", "-C", str(here), *args]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != here:
            return None  # installed inside somebody else's checkout
        commit = git("rev-parse", "HEAD")
        return f"{commit}+changes" if git("status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.SubprocessError):
        return None
