"""Stage `evaluate`: metrics of a pair's finished image (one unit per metric and pair, one call per pair).

Keys are `<pair>.<metric>@<digest>`. The digest covers everything that the metric's numbers depend on, so only a metric
that changes is measured again. Which metrics a run measures is in its header (`tasks.evaluation`), outside its
configuration: nothing is translated again for another number.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mgi.devices import best_device
from storage.unit_keys import pair_of, part_of
from tasks.evaluation import name_of
from tasks.stages.base import Call, Shard, Stage
from tasks.stages.select import RESULT, final_path
from tasks.unit import (
    EVALUATE,
    SELECT,
    TRANSLATE,
    Job,
    OpenRun,
    Outcome,
    done_already,
    one_line,
    picture,
    plain,
    reason_of,
)

if TYPE_CHECKING:
    import numpy as np

    from mgi.features import Backbone
    from mgi.metrics.bands import DetailStatistics
    from mgi.metrics.base import PairMetric, Views
    from mgi.metrics.domain import DomainStatistics


def evaluate_pair(job: Job, pair_id: str, keys: Sequence[str]) -> list[Outcome]:
    """Measure some metrics of one pair and publish each number.

    A metric that fails on the pair is published as failed; a metric that needs what the pair lacks is published without
    a number.

    Args:
        job: the run.
        pair_id: the pair; its final image is there.
        keys: the keys of the units.
    """
    from mgi.metrics.base import PairMetric
    from mgi.metrics.registry import metric
    from storage.run_store import StoreCorrupt

    run = job.open()
    outcomes = done_already(run, EVALUATE, keys)
    done = {outcome.key for outcome in outcomes}
    views: Views | None = None
    for key in (key for key in keys if key not in done):
        start, found = time.perf_counter(), metric(name_of(key))
        assert isinstance(found, PairMetric)
        try:
            views = views or _views(run, pair_id)
        except StoreCorrupt as error:  # no fault of the metrics, which may not be published as failed
            return [*outcomes, Outcome(_made_by(run), pair_id, pair_id, failed=one_line(error))]
        value, failed = _measure(run, found, views)
        seconds = time.perf_counter() - start
        publish(run, key, {**plain({"value": value}), **_about(found), "seconds": seconds, "failed": failed})
        outcomes.append(Outcome(EVALUATE, key, pair_id, seconds, failed))
    return outcomes


def publish(run: OpenRun, key: str, payload: dict[str, Any]) -> None:
    """Publish one number, or why there is none."""
    run.store.publish(EVALUATE, key, pair_index=run.index(pair_of(key)), payload={"metric": name_of(key), **payload})


def publish_lost(job: Job, call: Call, reason: str) -> list[Outcome]:
    """Record metrics whose worker died again and again as failed; called by the flow, not by a worker."""
    run = job.open()
    pair_id, keys = call
    for key in keys:
        publish(run, key, {"seconds": 0.0, "failed": reason})
    return [Outcome(EVALUATE, key, pair_id, 0.0, reason) for key in keys]


def _measure(run: OpenRun, found: PairMetric, views: Views) -> tuple[float | None, str | None]:
    """(the number, why it failed); both None if the pair lacks what the metric needs."""
    if "domain" in found.needs:
        views = replace(views, domain=_domain(run, found.rows))
    if "detail" in found.needs:
        views = replace(views, detail=_detail(run))
    if not all(views.has(need) for need in found.needs):
        return None, None
    try:
        return found(views, network), None
    except Exception as error:
        return None, reason_of(error)


def _about(found: PairMetric) -> dict[str, Any]:
    """What a report says about a number; kept with it, because the metric's package may be gone by then."""
    return {
        "summary": found.summary,
        "unit": found.unit,
        "higher_is_better": found.higher_is_better,
        "rows": found.rows,
        "version": found.version,
        "networks": list(found.weights),
    }


def _views(run: OpenRun, pair_id: str) -> Views:
    """The pair's pictures as the method saw them, and its final image."""
    from mgi.metrics.base import Views
    from storage.images import read_image

    def seen(name: str) -> np.ndarray:
        return picture(run.store, pair_id, name)

    made_by = _made_by(run)
    run.store.check_file(made_by, pair_id, RESULT.format(pair_id))
    warped = (run.store.done(made_by, pair_id) or {}).get("warped", True)  # methods that search always warp
    pairs = run.config.task == "translate"
    return Views.of(
        result=read_image(str(final_path(run.store.path, pair_id))).pixels,
        source=seen("source"),
        exemplar=seen("exemplar") if pairs else None,
        warp=seen("warp") if warped else None,
        device=best_device(),
    )


def _made_by(run: OpenRun) -> str:
    """The stage that publishes the final images."""
    return SELECT if run.config.searches else TRANSLATE


@lru_cache(maxsize=2)
def _domain(run: OpenRun, rows: int) -> DomainStatistics:
    """The domain that the run selects by, for images of a metric's size."""
    from mgi.scoring import load_domain
    from mgi.weights import load_generator

    config = run.config
    return load_domain(
        config,
        network(config.selection.backbone),
        best_device(),
        rows,
        lambda: load_generator(config.generator, best_device()),
    )


@lru_cache(maxsize=2)
def _detail(run: OpenRun) -> DetailStatistics:
    """How much detail the domain has that the run selects by."""
    from mgi.scoring import load_detail
    from mgi.weights import load_generator

    return load_detail(run.config, best_device(), lambda: load_generator(run.config.generator, best_device()))


@lru_cache
def network(name: str) -> Backbone:
    """The frozen network with a given name, on this process's device."""
    from mgi.features import load_backbone

    return load_backbone(name, best_device())


def _parts(run: OpenRun) -> list[str]:
    return run.metric_keys


def _calls(shard: Shard) -> list[Call]:
    """One call per pair, with all its metrics: its pictures are read once."""
    return [(pair_id, tuple(keys)) for pair_id, keys in shard.left.items()]


def _parts_of(call: Call) -> list[str]:
    """Names of the metrics that a call measures."""
    return [part_of(key).partition("@")[0] for key in call[1]]


STAGE = Stage(
    name=EVALUATE,
    unit="metrics",
    compute=evaluate_pair,
    after=(SELECT, TRANSLATE),
    parts=_parts,
    calls=_calls,
    parts_of=_parts_of,
    translates=False,
    publish_lost=publish_lost,
    required=False,
)
