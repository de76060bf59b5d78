"""Reading what a user's network says about results, and scoring it; how different the results of a run are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mgi.config import ConfigError
from mgi.outputs.boxes import Box, BoxScores, box_scores
from mgi.outputs.labels import LabelScores, label_scores
from storage.folders import list_images
from storage.images import BadImage
from tasks.conditions import read_labels

if TYPE_CHECKING:
    from torch import Tensor


def compare_labels(found: Path, true: Path, classes: int) -> LabelScores:
    """Scores of the maps in one folder against those of the same names in another.

    Raises:
        storage.folders.InputError: a folder cannot be used. BadImage: a map cannot be read, or its namesake is missing.
        ConfigError: they do not fit each other.
    """
    names = list_images(found)
    missing = [name for name in names if not (true / name).is_file()]
    if missing:
        raise BadImage(f"{true} has no map {missing[0]} ({len(missing)} of {len(names)} are missing); bring it")

    def pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for name in names:
            yield read_labels(found / name), read_labels(true / name)

    try:
        return label_scores(pairs(), classes)
    except ValueError as error:
        if isinstance(error, BadImage):
            raise
        raise ConfigError(str(error)) from None


def compare_boxes(found: Path, true: Path) -> BoxScores:
    """Average precision of a list of boxes against another, both JSON as COCO has it.

    Raises:
        ConfigError: a file is something else, or there is no true box.
    """
    try:
        return box_scores(_boxes(found, scored=True), _boxes(true, scored=False))
    except ValueError as error:
        raise error if isinstance(error, ConfigError) else ConfigError(str(error)) from None


def run_diversity(run: str, say: Callable[[str], None]) -> tuple[str, float, int]:
    """(what was measured, its value, sources with several results) of a run whose sources met several exemplars.

    Raises:
        ConfigError: no source has two results.
    """
    from mgi.images import to_float
    from mgi.metrics.diversity import distance_of, diversity
    from mgi.metrics.lpips import NETWORK
    from mgi.weights import zoo
    from storage.images import read_image
    from storage.run_store import RunStore
    from tasks.stages.evaluate import network
    from tasks.stages.select import final_path
    from tasks.unit import SELECT, TRANSLATE, Job

    store = RunStore.open(run)
    opened = Job.of(store).open()
    stage = SELECT if opened.config.searches else TRANSLATE
    groups: dict[str, list[str]] = {}
    for pair_id in opened.pair_ids():
        if store.marker(stage, pair_id) is not None:
            groups.setdefault(opened.pair(pair_id).source, []).append(pair_id)
    name = NETWORK if zoo.state(zoo.entry(NETWORK)) == "here" else "vgg16-imagenet"
    if name != NETWORK:
        say("the network of LPIPS is not here: measured by plain VGG-16 features, which is not comparable with papers")

    def images() -> Iterator[list[Tensor]]:
        for ids in groups.values():
            yield [to_float(read_image(str(final_path(run, pair_id))).pixels) for pair_id in ids]

    try:
        value, count = diversity(images(), distance_of(network(name)))
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return ("lpips" if name == NETWORK else "vgg16"), value, count


def _boxes(path: Path, scored: bool) -> list[Box]:
    """Of a list of annotations, or of a COCO file that has it under `annotations`."""
    wanted = "image_id, category_id, bbox" + (" and score" if scored else "")
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        rows = content["annotations"] if isinstance(content, dict) else content
        return [
            Box(
                str(row["image_id"]),
                str(row["category_id"]),
                _four(row["bbox"]),
                float(row["score"]) if scored else 1.0,
            )
            for row in rows
            if not row.get("iscrowd")
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:100]
        raise ConfigError(
            f"{path}: expected boxes as COCO has them ({wanted}), found something else ({reason})"
        ) from None


def _four(box: Any) -> tuple[float, float, float, float]:
    left, top, width, height = map(float, box)
    return left, top, width, height
