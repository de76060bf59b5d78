"""Translations whose right answer is known: `python -m benchmarks.truths make FOLDER --pairs 40`.

The pairs are `mgi.training.known`'s: styles of three generated faces are mixed, so that what a translation should be is
a picture that the generator itself makes. `make` writes FOLDER/sources, exemplars, truths.

    mgi translate FOLDER/sources FOLDER/exemplars --out RUN [--set ...]
    python -m benchmarks.truths table FOLDER RUN [RUN ...] [--strip PICTURE]

`table` measures the warp and every hypothesis of the runs against the truth, and says how well each rule chooses: the
distance of its choices over that of the best hypotheses, and how often it prefers the nearer of two hypotheses whose
distances differ by at least `CLEAR`. The distance is that of LPIPS without learnt weights, on EfficientNet-Lite0 (which
nothing optimises) at 256 rows. Measured numbers are kept in RUN-truths.jsonl.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from benchmarks.settings import lines_of
from mgi.features import Backbone, load_backbone
from mgi.images import resize, to_float, to_uint8
from mgi.memory import keep_freed_memory
from mgi.metrics.bands import read_detail
from mgi.metrics.structure import LITE0
from mgi.pairs import Hypothesis
from mgi.scoring.selection import select
from mgi.statistics import shipped_detail
from mgi.training.known import known_translation
from mgi.translators.inversion.rendering import render
from mgi.weights import load_generator
from storage.run_store import RunStore
from tasks.stages.invert import lane_key, lane_value
from tasks.unit import INVERT, Job, OpenRun, picture

GENERATOR = "mobile-stylegan-ffhq"
SEED = 7_000_000
LAYERS = ("stride4", "stride8", "stride16")
ROWS = 256
CLEAR = 0.03
"""By so large a share must two distances differ to say that one hypothesis is nearer."""
WARP = "warp"
GUARDS = ((math.inf, 1.0), (1.5, 0.0), (1.15, 0.0), (1.15, 1.0), (1.15, 0.75))
"""Fidelity bounds and critic margins to try."""


def main() -> None:
    """Make pairs, or judge runs by their truths."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make")
    making.add_argument("folder", type=Path)
    making.add_argument("--pairs", type=int, default=40)
    table = commands.add_parser("table")
    table.add_argument("folder", type=Path)
    table.add_argument("runs", type=Path, nargs="+")
    table.add_argument("--first", type=int, default=0, help="number of the first pair that counts")
    table.add_argument("--strip", type=Path)
    arguments = parser.parse_args()
    keep_freed_memory()
    if arguments.command == "make":
        make(arguments.folder, arguments.pairs)
        return
    for run in arguments.runs:
        print_table(run, measured(arguments.folder, run)[arguments.first :])
    if arguments.strip:
        draw(arguments.folder, arguments.runs[0], arguments.strip)


@torch.no_grad()
def make(folder: Path, pairs: int) -> None:
    """Write the pictures; those that are there are not made again."""
    generator = load_generator(GENERATOR)
    for number in range(pairs):
        paths = [folder / name / f"t{number:03d}.png" for name in ("sources", "exemplars", "truths")]
        if all(path.is_file() for path in paths):
            continue
        for path, image in zip(paths, known_translation(generator, SEED + number), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(to_uint8(image)[0]).save(path)


def measured(folder: Path, run: Path) -> list[dict[str, Any]]:
    """Of every pair that is inverted: {hypothesis: {"distance", "detail", "error", rule: number}}, and the warp's."""
    kept = run.with_name(f"{run.name}-truths.jsonl")
    done = {line["pair"]: line for line in lines_of(kept)}
    store = RunStore.open(run)
    missing = [pair for pair in store.pair_ids() if pair not in done]
    if missing:
        judge = _Judge(folder, run)
        for pair in itertools.takewhile(judge.inverted, missing):
            done[pair] = {"pair": pair, "rows": judge.rows(pair)}
            with kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps(done[pair]) + "\n")
    return [done[pair] for pair in store.pair_ids() if pair in done]


class _Judge:
    """Numbers of a run's hypotheses from what it has stored, whether or not it has come to its tables."""

    def __init__(self, folder: Path, run: Path) -> None:
        self._folder, self._run = folder, Job.of(RunStore.open(run)).open()
        self._translator: Any = self._run.method()
        self._network = load_backbone(LITE0)
        statistics = shipped_detail(GENERATOR)
        assert statistics is not None
        self._detail = read_detail(statistics)

    def inverted(self, pair: str) -> bool:
        """Whether all hypotheses of a pair are there."""
        return all(self._run.store.done(INVERT, lane_key(pair, h.id)) for h in self._hypotheses)

    def _distance(self, image: Tensor, truth: Tensor) -> float:
        return unit_distance(_at(image), _at(truth), self._network, LAYERS)

    @property
    def _hypotheses(self) -> list[Hypothesis]:
        return list(self._run.config.inversion.all_hypotheses())

    def rows(self, pair: str) -> dict[str, dict[str, float]]:
        """Every number of a pair."""
        truth = _read(self._folder / "truths" / f"{pair.split('_')[0]}.png")
        warp, exemplar = (picture(self._run.store, pair, name) for name in (WARP, "exemplar"))
        of_warp = to_float(warp, "cpu")
        reference = self._translator.reference_features(warp, exemplar)
        rows = {WARP: {"distance": self._distance(of_warp, truth)}}
        for hypothesis in self._hypotheses:
            image = to_float(picture_of(self._run, pair, hypothesis), "cpu")
            features = np.array(lane_value(self._run.store, "features", pair, hypothesis.id))
            ratios = np.array(self._detail.ratios(image)) / np.array(self._detail.ratios(truth))
            rows[hypothesis.id] = {
                "distance": self._distance(image, truth),
                "detail": float(ratios.min()),
                "error": float((_at(image) - of_warp).square().mean()),
                **self._translator.judge.distances(features, reference),
            }
        return rows


def picture_of(run: OpenRun, pair: str, hypothesis: Hypothesis, factor: int | None = None) -> np.ndarray:
    """The picture of a hypothesis, whether it was chosen or not."""
    translator: Any = run.method()
    latents = {"latents": lane_value(run.store, "latents", pair, hypothesis.id)}
    return render(translator.engine, latents, hypothesis, factor)


@torch.no_grad()
def unit_distance(image: Tensor, other: Tensor, network: Backbone, layers: Sequence[str]) -> float:
    """LPIPS without learnt weights: mean over layers and positions of the squared distance of unit feature vectors.

    Args:
        image, other: [1, 3, S, S] in [-1, 1].
        network: a feature network.
        layers: of it.
    """
    found = (F.normalize(features, dim=1) for features in network(torch.cat([image, other]), layers).values())
    return sum(float((x[0] - x[1]).square().sum(0).mean()) for x in found) / len(layers)


def _at(image: Tensor) -> Tensor:
    return image if image.shape[-1] == ROWS else resize(image, ROWS)


def _read(path: Path) -> Tensor:
    return to_float(np.asarray(Image.open(path).convert("RGB")), "cpu")


def print_table(run: Path, lines: list[dict[str, Any]]) -> None:
    """Of every hypothesis its mean distance; of every rule how well it chooses."""
    names = [name for name in lines[0]["rows"] if name != WARP]

    def row(line: dict[str, Any], name: str) -> dict[str, float]:
        return line["rows"][name]

    of_warps = np.mean([row(line, WARP)["distance"] for line in lines])
    print(f"\n{run.name}: {len(lines)} pairs; the warp's mean distance is {of_warps:.4f}\n")
    print("| hypothesis | distance to the truth | nearest of all | detail over the truth's |\n|---|---|---|---|")
    best = [min(row(line, name)["distance"] for name in names) for line in lines]
    for name in names:
        found = [row(line, name) for line in lines]
        nearest = sum(one["distance"] == least for one, least in zip(found, best, strict=True))
        sharp = np.mean([one["detail"] for one in found])
        print(f"| {name} | {np.mean([one['distance'] for one in found]):.4f} | {nearest} | {sharp:.2f} |")
    print("\n| rule | distance of its choice / the best's | right of clear pairs |\n|---|---|---|")
    for rule in (key for key in row(lines[0], names[0]) if key not in ("distance", "detail")):
        chosen = [min((row(line, name) for name in names), key=lambda one, rule=rule: one[rule]) for line in lines]
        right = list(_answers(lines, names, rule))
        print(f"| {rule} | {_over(chosen, best):.3f} | {np.mean(right):.2f} of {len(right)} |")
    for bound, margin in GUARDS:
        chosen = [row(line, _guarded(line, names, bound, margin)) for line in lines]
        print(f"| spatial-fd, fidelity bound {bound:g}, critic margin {margin:g} | {_over(chosen, best):.3f} | |")
    for name in names:
        print(f"| always {name} | {_over([row(line, name) for line in lines], best):.3f} | |")


def _guarded(line: dict[str, Any], names: list[str], bound: float, margin: float) -> str:
    rows = [{"hypothesis": name, **line["rows"][name]} for name in names]
    return select(rows, "spatial-fd", bound, margin).hypothesis


def _over(chosen: list[dict[str, float]], best: list[float]) -> float:
    """Geometric mean of the chosen distances over the best ones."""
    return float(np.exp(np.mean([np.log(one["distance"] / least) for one, least in zip(chosen, best, strict=True)])))


def _answers(lines: list[dict[str, Any]], names: list[str], rule: str) -> Iterator[bool]:
    for line in lines:
        for x, y in itertools.combinations(names, 2):
            near, far = sorted((line["rows"][x], line["rows"][y]), key=lambda row: row["distance"])
            if far["distance"] > (1 + CLEAR) * near["distance"]:
                yield near[rule] < far[rule]


def draw(folder: Path, run: Path, file: Path) -> None:
    """Source, exemplar, warp, every hypothesis, and the truth; one pair per row."""
    opened = Job.of(RunStore.open(run)).open()
    strips = []
    for line in measured(folder, run):
        pair = line["pair"]
        pictures = [picture(opened.store, pair, name) for name in ("source", "exemplar", WARP)]
        names = (name for name in line["rows"] if name != WARP)
        pictures += [picture_of(opened, pair, Hypothesis.parse(name), factor=1) for name in names]
        pictures.append(to_uint8(_at(_read(folder / "truths" / f"{pair.split('_')[0]}.png")))[0])
        strips.append(np.concatenate(pictures, axis=1))
    Image.fromarray(np.concatenate(strips)).save(file)


if __name__ == "__main__":
    main()
