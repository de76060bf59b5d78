"""The rows of a suite as runs: what each is asked for, and in which folder it lies.

Every row is an ordinary run below `OUT/rows/`, made by the same stages, with markers, workers and `mgi resume` of its
own. The folder's name ends in a hash of what decides the row's numbers, so a row whose settings change is computed anew
beside the old one, and all others stay.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mgi.config import ConfigError, RunConfig
from mgi.profiles import load_config, whole_paths
from storage.folders import list_images
from storage.run_store import RunStore
from tasks.given import content_of, match_results
from tasks.stages.plan import Request, make_plan, weight_hashes
from tasks.suites.suite import REFERENCES, Row, Suite
from tasks.unit import INVERT, WARP, Job, OpenRun, picture

ROWS, SINGLES = "rows", "singles"
"""Folders of an evaluation: the runs, and hypotheses or warps of them as pictures."""
INPUTS = "mgi:inputs"
"""Key in those pictures: the identities of source and exemplar."""


@dataclass(frozen=True)
class Planned:
    """One row: its name, what is asked for, and the folder of its run."""

    name: str
    request: Request
    folder: str
    taken: tuple[str, str] | None = None
    """(row, hypothesis or WARP): whose pictures are judged, where they are another row's."""


def plan_rows(suite: Suite, out: str, only: Sequence[str] = ()) -> list[Planned]:
    """All rows of a suite; reads folders, computes nothing.

    Args:
        suite: with whole paths and data.
        out: folder of the evaluation.
        only: names of the rows that are wanted; empty: all.

    Raises:
        ConfigError, storage.folders.InputError: unknown method or metric, data that cannot be used, results that do
            not match: one line.
    """
    rows = chosen_rows(suite, only)
    found: list[Planned] = []
    for row in rows:
        if row.hypotheses_of or row.warps_of:
            found += _taken(suite, row, out)
        else:
            found.append(_planned(row.name, _request(suite, row), out))
    if not found:
        raise ConfigError(f"suite {suite.name}: expected at least one [[methods]], found none")
    make_plan(found[0].request)  # pairs of all rows are the same
    return found


def chosen_rows(suite: Suite, only: Sequence[str] = ()) -> list[Row]:
    """The rows that are wanted; reads no picture.

    Args:
        suite, only: as for `plan_rows`.

    Raises:
        ConfigError, storage.folders.InputError: unknown row, method, metric or setting, or no folder of `reference`.
    """
    require_metrics(suite)
    known = [row.name for row in suite.methods]
    for name in only:
        if name not in known:
            raise ConfigError(f"--methods: no row is called {name}; expected some of {', '.join(known)}")
    rows = [row for row in suite.methods if not only or row.name in only]
    for row in rows:
        parent = row.hypotheses_of or row.warps_of
        if only and parent and parent not in only:
            raise ConfigError(f"--methods: {row.name} takes its pictures from {parent}; name {parent}, too")
        if not (parent or row.results):
            _config(suite, row, row.of_method, {})
    return rows


def require_metrics(suite: Suite) -> None:
    """Check the names of metrics, and the folder that sets are compared with.

    Raises:
        mgi.registry.RegistryError: unknown, or of the other kind. storage.folders.InputError: no folder of pictures.
    """
    from mgi.metrics.registry import chosen
    from tasks.suites.sets import metric_of_sets

    chosen(",".join(suite.metrics), suite.task)
    for name in suite.sets:
        metric_of_sets(name, "sets")
    if suite.sets and suite.reference not in REFERENCES:
        list_images(suite.reference)


def pictures_of(planned: Planned, out: str) -> str:
    """Where the pictures that a row takes from another one are."""
    assert planned.taken is not None
    return str(Path(out) / SINGLES / planned.name)


def filled(planned: Planned, out: str, parent: str) -> Planned:
    """A row of another one's pictures, once they are there: its request names the run `parent` that they are from."""
    assert planned.taken is not None
    folder, content = pictures_of(planned, out), f"{Path(parent).name} {planned.taken[1]}"
    config = planned.request.config.model_copy(
        update={"options": type(planned.request.config.options)(folder=folder, content=content)}
    )
    return replace(_planned(planned.name, replace(planned.request, config=config), out), taken=planned.taken)


def _config(suite: Suite, row: Row, method: str, settings: dict[str, Any]) -> RunConfig:
    try:
        config = load_config(
            row.profile or suite.profile, {**suite.set, **row.set, "task": suite.task, **settings}, method
        )
    except ConfigError as error:
        raise ConfigError(f"methods.{row.name}: {error}") from None
    return RunConfig.model_validate(whole_paths("", config.model_dump(), Path.cwd()))


def _request(suite: Suite, row: Row) -> Request:
    method, settings = row.of_method, dict[str, Any]()
    if row.results:
        method = "given"
        settings = {"options.folder": json.dumps(row.results), "options.content": content_of(row.results)}
    config = _config(suite, row, method, settings)
    data = suite.data
    request = Request(data.sources, data.exemplars, config, data.pairing, data.limit, data.seed)
    if row.results:
        match_results(row.results, make_plan(request).pairs)
    return request


def _taken(suite: Suite, row: Row, out: str) -> list[Planned]:
    parent = next(other for other in suite.methods if other.name == (row.hypotheses_of or row.warps_of))
    config = _request(suite, parent).config
    if row.warps_of:
        names = {row.name: WARP}
        if not config.searches or config.task == "invert":
            raise ConfigError(f"methods.{row.name}.warps_of: {parent.name} inverts no warps")
    else:
        names = {f"{row.name}-{hypothesis.id.lower()}": hypothesis.id for hypothesis in config.hypotheses()}
        if not config.searches:
            raise ConfigError(f"methods.{row.name}.hypotheses_of: {parent.name} tries no hypotheses")
    found = []
    for name, what in names.items():
        given = _request(suite, Row(name=name, method="given", profile=parent.profile, set=parent.set))
        found.append(replace(_planned(name, given, out), taken=(parent.name, what)))
    return found


def _planned(name: str, request: Request, out: str) -> Planned:
    inputs = {key: value for key, value in request.inputs().items() if key != "limit"}  # more pairs are added to a row
    decides = [request.config.digest(), inputs, weight_hashes(request.config)]
    said = json.dumps(decides, sort_keys=True)
    return Planned(name, request, str(Path(out) / ROWS / f"{name}-{hashlib.sha256(said.encode()).hexdigest()[:8]}"))


def may_grow(planned: Planned) -> bool:
    """Whether a row's run is the same one with more or fewer pairs; if not, its pictures are no longer the same."""
    if not (Path(planned.folder) / "run.json").exists():
        return False
    had = set(RunStore.open(planned.folder).pairs["id"])
    asked = {pair.id for pair in make_plan(planned.request).pairs}
    return had < asked or asked < had


def write_taken(run: str, what: str, folder: str) -> int:
    """Write a hypothesis or the warp of a run's finished pairs to `folder/PAIR.png`; returns how many were missing.

    Args:
        run: the run's folder; its method searches.
        what: a hypothesis such as `L06N10`, or WARP for the warp, enlarged as the run's results are.
        folder: made if it is not there; pictures of the same source and exemplar that are there stay.
    """
    from storage.images import write_png

    opened = Job.of(RunStore.open(run)).open()
    written = 0
    for pair_id in opened.pair_ids():
        path = Path(folder) / f"{pair_id}.png"
        inputs = json.dumps((opened.store.done(WARP, pair_id) or {}).get("inputs"))
        if _inputs_of(path) == inputs or (image := _picture(opened, pair_id, what)) is None:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, image, {"mgi:pair": pair_id, "mgi:hypothesis": what, INPUTS: inputs})
        written += 1
    return written


def _inputs_of(path: Path) -> str | None:
    """Source and exemplar of a picture that `write_taken` wrote; None: there is none."""
    from PIL import Image

    if not path.is_file():
        return None
    with Image.open(path) as image:
        return str(image.info.get(INPUTS))


def _picture(run: OpenRun, pair_id: str, what: str) -> np.ndarray | None:
    """A pair's warp or hypothesis at the size of its result; None: not done."""
    from mgi.images import resize, to_float, to_uint8
    from tasks.stages.invert import lane_key
    from tasks.stages.select import render_hypothesis

    if what == WARP:
        if run.store.done(WARP, pair_id) is None:
            return None
        warp = picture(run.store, pair_id, "warp")
        return to_uint8(resize(to_float(warp), len(warp) * run.config.upsampling))[0]
    lane = run.store.payload(INVERT, lane_key(pair_id, what))
    if lane is None or lane.get("failed"):
        return None
    return render_hypothesis(run, run.method(), pair_id, what)
