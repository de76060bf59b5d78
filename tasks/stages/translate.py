"""Stage `translate`: a pair's finished image in one go, for methods that try no hypotheses (one unit per pair)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mgi.config import ConfigError, RunConfig
from mgi.pairs import lane_seed
from tasks.method import inverting
from tasks.stages.base import Stage
from tasks.stages.from_files import Made, first_shows, from_files
from tasks.stages.select import RESULT, final_path
from tasks.unit import TRANSLATE, Job, OpenRun, Outcome, plain, searches
from tasks.workers.heartbeat import Heartbeat

if TYPE_CHECKING:
    from mgi.translators import Result

GIVEN = "given"
"""The method whose pictures are in a folder."""


def translate_pair(job: Job, pair_id: str, preview: bool = False) -> list[Outcome]:
    """Make a pair's image, write it to `final/<pair id>.png` and publish it with the pictures that it was made from.

    Args:
        job: the run.
        pair_id: the pair.
        preview: also write the run's preview picture from this pair.
    """
    return from_files(job, TRANSLATE, pair_id, preview, _translate)


def _translate(run: OpenRun, pair_id: str, pictures: list[np.ndarray]) -> Made:
    from mgi.translators import Conditioned, Finished
    from storage.images import write_png
    from tasks.conditions import conditions_of

    translator, seed, beat = (
        run.translator(),
        lane_seed(run.seed, pair_id, "translate"),
        Heartbeat(TRANSLATE, [pair_id]),
    )
    if isinstance(translator, Finished):
        result = _finished(run, pair_id, translator.results)
    elif run.config.task == "invert":
        result = inverting(translator).reconstruct(pictures[0], seed, beat)
    elif isinstance(translator, Conditioned):
        source, exemplar = pictures
        maps = conditions_of(run, pair_id, translator.conditions)
        result = translator.translate_conditioned((source, exemplar), maps, seed, beat)
    else:
        source, exemplar = pictures
        result = translator.translate(source, exemplar, seed, beat)
    _check(run.config.method, result, translator.picture_size)
    facts = {"mgi:pair": pair_id, "mgi:method": run.config.method, "mgi:config": run.job.digest}
    write_png(final_path(run.store.path, pair_id), result.image, facts)
    warp = {} if result.warp is None else {"warp": result.warp}
    payload = {"measures": plain(result.measures), "warped": bool(warp)}
    return Made(warp, [*warp.values(), result.image], result.info, payload, (RESULT.format(pair_id),))


def _finished(run: OpenRun, pair_id: str, folder: str) -> Result:
    """The picture that another program made of the pair."""
    from mgi.translators import Result, TranslatorError
    from tasks.given import read_result

    path = _files(run, folder).get(pair_id)
    if path is None:
        raise TranslatorError("there is no result of this pair in the folder")
    return Result(read_result(path))


@lru_cache(maxsize=2)
def _files(run: OpenRun, folder: str) -> dict[str, str]:
    from tasks.given import match_results

    return match_results(folder, [run.pair(id) for id in run.pair_ids()], strict=False)


def _check(method: str, result: Result, size: int) -> None:
    """Refuse what cannot be written as a picture, before anything is written."""
    image, warp = result.image, result.warp
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3 or not image.size:
        raise ConfigError(f"{method} made {image.dtype} {list(image.shape)}, expected an image uint8 [R, R, 3]")
    if warp is not None and (warp.dtype != np.uint8 or warp.shape != (size, size, 3)):
        raise ConfigError(f"{method} made a warp {warp.dtype} {list(warp.shape)}, expected uint8 [{size}, {size}, 3]")


def _in_one_go(config: RunConfig) -> bool:
    return not searches(config)


STAGE = Stage(
    name=TRANSLATE,
    unit="pairs",
    compute=translate_pair,
    calls=first_shows,
    used_by=_in_one_go,
    result=RESULT,
)
