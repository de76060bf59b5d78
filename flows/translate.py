"""The flows `translate` and `invert` as Prefect sees them.

One task per stage of a shard, parameters whose choices a form offers, progress and results as artifacts. Prefect only
watches. Nothing here decides what is done (the store's markers do), so `mgi resume` can continue a run that Prefect
started, and the reverse. Prefect's results and caches are off: they would be a second, weaker truth. Parameters and
results are paths, ids and counts.
"""

from __future__ import annotations

from typing import Annotated, Any

from prefect import State, flow, tags
from pydantic import Field

from flows.afterwards import After
from flows.arguments import SNAPSHOTS, Arguments
from flows.dates import dated, today
from flows.pipeline import request_of, translate_run
from flows.settings import Workers
from flows.watching.carried_out import TAG, Cluster, carried_out
from flows.watching.choices import (
    Count,
    Degrade,
    Faces,
    Folder,
    Format,
    Method,
    Pairing,
    Profile,
    Seed,
    Warp,
    WorkerCount,
)
from flows.watching.run_names import named


@flow(
    name="translate",
    flow_run_name=named("translate {sources} by {exemplars} into {out}", by=("method", "profile")),
    persist_result=False,
    validate_parameters=True,
)
def translate(
    sources: Folder,
    exemplars: Folder,
    out: Folder,
    profile: Profile = "embedded",
    method: Method | None = None,
    warp: Warp | None = None,
    pairing: Pairing = "zip",
    limit: Count | None = None,
    seed: Seed = 0,
    faces: Faces | None = None,
    overrides: dict[str, Any] | None = None,
    metrics: str | None = None,
    extend: bool = False,
    export_to: str | None = None,
    format: Format = "png",
    paste_back: bool = False,
    workers: WorkerCount = "auto",
    scheduler: str | None = None,
    patience: Count | None = None,
) -> State[dict[str, Any]]:
    """Translate a folder of sources by a folder of exemplars into the run folder `out`.

    Args:
        sources: Folder of the images whose structure is kept.
        exemplars: Folder of the images whose colours and style are taken.
        out: Folder of the run, or its address s3://BUCKET/NAME; one that is there is continued. {date} becomes the day.
        profile: All settings of a run, by name or in a file.
        method: How images are made, one of `mgi methods`; the profile's if not given.
        warp: Plain, or fine-tuned on every pair first (oeft), minutes more per pair; the profile's if not given.
        pairing: How sources meet exemplars; a .csv file has the columns source and exemplar.
        limit: At most this many pairs.
        seed: Decides random pairings and where every optimisation starts.
        faces: Of a source photo of several people, the largest face (the default) or one pair of each.
        overrides: Settings over the profile's, such as {"inversion.steps": 40}; docs/configuration.md has all.
        metrics: What results are measured by, names with commas between them, standard or none; as the run was if not
            given.
        extend: Add pairs that the folders give and the run lacks.
        export_to: Folder for copies of the results under their sources' names.
        format: Format of those copies.
        paste_back: Put results back into the photographs that their sources were cut from, in RUN/pasted.
        workers: Processes on the worker's machine; 0 computes in the flow's process.
        scheduler: Address of a running Dask scheduler to use instead, such as tcp://10.0.0.5:8786.
        patience: Seconds to wait while that scheduler has no worker.

    Returns:
        `flows.pipeline.Summary` as plain data, in a state of `flows.watching.concluded`.
    """
    chosen = {"warp.method": warp, "align.faces": faces}
    settings = {**(overrides or {}), **{key: value for key, value in chosen.items() if value}}
    asked = Arguments("translate", sources, exemplars, profile, pairing, limit, seed, settings, method, extend)
    return _run(asked, out, Cluster(workers, scheduler, patience), metrics, After(export_to, format, paste_back))


@flow(
    name="invert",
    flow_run_name=named("invert {images} into {out}", by=("degrade", "method", "profile")),
    persist_result=False,
    validate_parameters=True,
)
def invert(
    images: Folder,
    out: Folder,
    profile: Profile = "embedded",
    method: Method | None = None,
    degrade: Degrade | None = None,
    given: bool = False,
    refine: Annotated[int, Field(ge=0)] | None = None,
    limit: Count | None = None,
    seed: Seed = 0,
    faces: Faces | None = None,
    overrides: dict[str, Any] | None = None,
    metrics: str | None = None,
    extend: bool = False,
    video: Count | None = None,
    export_to: str | None = None,
    format: Format = "png",
    workers: WorkerCount = "auto",
    scheduler: str | None = None,
    patience: Count | None = None,
) -> State[dict[str, Any]]:
    """Invert a folder of pictures into the run folder `out`: find what a generator makes them of.

    Args:
        images: Folder of the pictures.
        out: Folder of the run, or its address s3://BUCKET/NAME; one that is there is continued. {date} becomes the day.
        profile: All settings of a run, by name or in a file.
        method: How pictures are inverted, one of `mgi methods`; the profile's if not given.
        degrade: Recover pictures from this damage: smaller (super-resolution), gray (colorization), with holes
            (inpainting; white pixels of the mask are missing), rain.
        given: The pictures are damaged already; otherwise they are damaged first, and judged by what they were.
        refine: Steps of optimisation after an encoder's answer.
        limit: At most this many pictures.
        seed: Decides starts, masks and rain.
        faces: Of a photo of several people, the largest face (the default) or one picture of each.
        overrides: Settings over profile and method, such as {"inversion.steps": 40}; docs/configuration.md has all.
        metrics: What results are measured by, names with commas between them, standard or none; as the run was if not
            given.
        extend: Add pictures that the folder holds and the run lacks.
        video: Write videos of the optimisation of the first so many pictures.
        export_to: Folder for copies of the results under their sources' names.
        format: Format of those copies.
        workers: Processes on the worker's machine; 0 computes in the flow's process.
        scheduler: Address of a running Dask scheduler to use instead, such as tcp://10.0.0.5:8786.
        patience: Seconds to wait while that scheduler has no worker.
    """
    chosen = {
        "inversion.degradation": degrade,
        "inversion.observed": "given" if given else None,
        "options.refine": refine,
        "align.faces": faces,
    }
    settings = {**(overrides or {}), **{key: value for key, value in chosen.items() if value is not None}}
    if video is not None:
        settings.setdefault("inversion.snapshots", SNAPSHOTS)
    asked = Arguments("invert", images, "", profile, "zip", limit, seed, settings, method, extend)
    return _run(asked, out, Cluster(workers, scheduler, patience), metrics, After(export_to, format, False, video or 0))


def start_flow(
    asked: Arguments, out: str, workers: Workers, scheduler: str | None, metrics: str | None
) -> dict[str, Any]:
    """Call the flow for what a command asks for, which then shows it as its parameters."""
    shared: dict[str, Any] = {
        "out": out,
        "profile": asked.profile,
        "method": asked.method,
        "limit": asked.limit,
        "seed": asked.seed,
        "overrides": dict(asked.overrides),
        "workers": workers,
        "scheduler": scheduler,
        "extend": asked.extend,
        "metrics": metrics,
    }
    with tags(TAG):  # calling a flow gives the data of the state that it ends in
        if asked.task == "invert":
            data: Any = invert(images=asked.sources, **shared)
        else:
            data = translate(sources=asked.sources, exemplars=asked.exemplars, pairing=asked.pairing, **shared)
    return dict(data)


def _run(asked: Arguments, out: str, where: Cluster, metrics: str | None, after: After) -> State[dict[str, Any]]:
    run, _ = dated(out, None, today())
    return carried_out(
        run,
        where,
        lambda place, call: translate_run(request_of(asked), run, *place, call, metrics, asked.extend),
        after,
    )
