"""How often each rule prefers the better of two pictures: `python -m benchmarks.rules RESULTS.jsonl --seeds 70`.

The pairs are `mgi.training.constructed`'s, from seeds that no critic has learnt from: `torn`, `oracle`, `damaged`,
`composed`; and `unseen`, damages that no critic was shown: two faces half and half, coarse JPEG, a patch of another
face. `--runs BETTER WORSE` adds the kind `inverted`: results of the same pairs in two runs, the first of which is known
to have better warps. `--critic FILE` judges by another critic than the shipped one.

Rules: those that runs store (`spatial-fd` as configured, also with the critic's guard, `paper`, `critic`), `spatial-fd`
on other layers of VGG-16 and on the descriptor's features, and `bands`, the distance of the four bands' strength from
the domain's. One line of RESULTS.jsonl per seed; lines that are there are skipped; `--table` only prints. Intervals are
Wilson's, 95 %.
"""

from __future__ import annotations

import argparse
import io
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from benchmarks.settings import lines_of
from mgi import weights
from mgi.features import Backbone, load_backbone
from mgi.features.descriptor import Descriptor, read_descriptor
from mgi.generators import Generator
from mgi.images import to_float, to_uint8
from mgi.intervals import wilson
from mgi.memory import keep_freed_memory
from mgi.metrics.bands import BANDS, DetailStatistics, read_detail
from mgi.metrics.domain import DomainAccumulator, DomainStatistics, load_statistics
from mgi.metrics.locations import grid_features, pooled_vector
from mgi.metrics.paper import paper_fd
from mgi.metrics.samples import generated_images
from mgi.metrics.spatial_fd import spatial_fd
from mgi.scoring.critic import Critic, read_critic
from mgi.scoring.selection import select
from mgi.statistics import shipped, shipped_detail
from mgi.training.constructed import BetterWorse, Constructed
from mgi.weights import load_generator

GENERATOR, SIZE = "mobile-stylegan-ffhq", 256
FIRST_SEED = 8_000_000
OTHER_LAYERS = ("relu2_2", "relu3_3", "relu5_3")
LOCATIONS = 16
BETTER, WORSE = "b", "a"
"""Names of the two pictures of a pair; a tie goes to the first by name, which is no right answer."""
MARGINS = (0.5, 0.75, 1.0, 2.0)
"""Of the critic, to try."""


def main() -> None:
    """Measure what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--seeds", type=int, default=70)
    parser.add_argument("--domain", type=int, default=200, help="samples behind the rules that no run stores")
    parser.add_argument("--critic", type=Path)
    parser.add_argument("--runs", type=Path, nargs=2, metavar=("BETTER", "WORSE"))
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if not arguments.table:
        keep_freed_memory()
        _measure(arguments)
    print_table(lines_of(arguments.results))


@torch.no_grad()
def _measure(arguments: argparse.Namespace) -> None:
    done = {line["seed"] for line in lines_of(arguments.results)}
    backbone, generator = load_backbone("vgg16-imagenet"), load_generator(GENERATOR)
    rules = _Rules(backbone, generator, arguments.domain, arguments.critic, arguments.results)
    make = Constructed(generator, backbone, SIZE)
    for number in range(arguments.seeds):
        seed = FIRST_SEED + number
        if seed in done:
            continue
        pairs: dict[str, list[BetterWorse]] = dict(make(seed))
        random = torch.Generator().manual_seed(seed + 1)
        pairs["unseen"] = list(_unseen(pairs["torn"][0][0], make.picture(make.latent(random)), random))
        _write(arguments.results, seed, {kind: [rules.both(pair) for pair in found] for kind, found in pairs.items()})
        print(seed, flush=True)
    for number, pair in enumerate(_inverted(*arguments.runs) if arguments.runs else ()):
        if f"run-{number}" not in done:
            _write(arguments.results, f"run-{number}", {"inverted": [rules.both(pair)]})


def _write(results: Path, seed: int | str, kinds: dict[str, list[dict[str, list[float]]]]) -> None:
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"seed": seed, "kinds": kinds}) + "\n")


def _unseen(picture: Tensor, other: Tensor, random: torch.Generator) -> Iterator[BetterWorse]:
    """Damages that critics do not learn from."""
    yield picture, (picture + other) / 2
    quality = int(torch.randint(6, 16, (1,), generator=random))
    stream = io.BytesIO()
    Image.fromarray(to_uint8(picture)[0]).save(stream, "JPEG", quality=quality)
    yield picture, to_float(np.asarray(Image.open(stream)), "cpu")
    side = picture.shape[-1] // 4
    top, left = (int(torch.randint(side, 2 * side, (1,), generator=random)) for _ in range(2))
    patched = picture.clone()
    patched[..., top : top + side, left : left + side] = other[..., top : top + side, left : left + side]
    yield picture, patched


def _inverted(better: Path, worse: Path) -> Iterator[BetterWorse]:
    """The final pictures of the same pairs, at the size that is judged."""
    for path in sorted((better / "final").glob("*.png")):
        twin = worse / "final" / path.name
        if twin.is_file():
            images = [to_float(np.asarray(Image.open(p).convert("RGB")), "cpu") for p in (path, twin)]
            yield tuple(F.avg_pool2d(image, image.shape[-1] // SIZE) for image in images)  # type: ignore[misc]


class _Rules:
    def __init__(
        self, backbone: Backbone, generator: Generator, samples: int, critic: Path | None, results: Path
    ) -> None:
        self._backbone = backbone
        found = shipped(GENERATOR, "vgg16-imagenet-relu4_3-512.npz")
        detail = shipped_detail(GENERATOR)
        assert found is not None and detail is not None
        self._domain: DomainStatistics = load_statistics(found)
        self._detail: DetailStatistics = read_detail(detail)
        path = critic or weights.path(f"critic-{GENERATOR}")
        self._critic: Critic = read_critic(path)
        self._descriptor: Descriptor = read_descriptor(weights.path(f"descriptor-{GENERATOR}"), backbone)
        self._others = self._other_domains(generator, samples, results)

    def _other_domains(self, generator: Generator, samples: int, results: Path) -> dict[str, DomainStatistics]:
        paths = {
            name: results.with_name(f"{results.stem}-{name}-{samples}.npz") for name in (*OTHER_LAYERS, "descriptor")
        }
        if not all(path.is_file() for path in paths.values()):
            gathered = {name: DomainAccumulator(self._grid(name)(_blank()).shape[1]) for name in paths}
            for image in generated_images(generator, samples, SIZE, "cpu"):
                for name, accumulator in gathered.items():
                    accumulator.update(self._grid(name)(image))
            for name, accumulator in gathered.items():
                accumulator.result("vgg16-imagenet", name).save(paths[name])
        return {name: load_statistics(path) for name, path in paths.items()}

    def _grid(self, name: str) -> Callable[[Tensor], Tensor]:
        if name == "descriptor":
            return lambda image: F.adaptive_avg_pool2d(self._descriptor(image)["generator"], LOCATIONS)
        return lambda image: grid_features(image, self._backbone, name)

    def both(self, pair: BetterWorse) -> dict[str, list[float]]:
        """{rule: [number of the better, of the worse]}."""
        numbers = [self._numbers(image) for image in pair]
        return {rule: [found[rule] for found in numbers] for rule in numbers[0]}

    def _numbers(self, image: Tensor) -> dict[str, float]:
        stored = self._domain.basis.project(grid_features(image, self._backbone, self._domain.layer))
        features = stored[0].half().numpy()
        ratios = self._detail.ratios(image)
        found = {
            "spatial-fd": spatial_fd(features.astype(np.float32), self._domain.locations),
            "paper": paper_fd(pooled_vector(features.astype(np.float32)), self._domain.images),
            "critic": self._critic(features),
            "bands": math.fsum(abs(math.log(max(ratio, 1e-6))) for ratio in ratios) / BANDS,
        }
        for name, domain in self._others.items():
            features = domain.basis.project(self._grid(name)(image))[0].half().numpy()
            found[f"spatial-fd {name}"] = spatial_fd(features.astype(np.float32), domain.locations)
        return found


def _blank() -> Tensor:
    return torch.zeros(1, 3, SIZE, SIZE)


def print_table(lines: list[dict[str, Any]]) -> None:
    """Share of right answers of every rule by kind."""
    answers: dict[str, dict[str, list[bool]]] = {}
    for line in lines:
        for kind, pairs in line["kinds"].items():
            for pair in pairs:
                right = {rule: better < worse for rule, (better, worse) in pair.items()}
                right |= {f"spatial-fd, critic margin {margin:g}": _guarded(pair, margin) for margin in MARGINS}
                for rule, answer in right.items():
                    answers.setdefault(rule, {}).setdefault(kind, []).append(answer)
    kinds = list(dict.fromkeys(kind for line in lines for kind in line["kinds"]))
    counts = {kind: len(next(iter(answers.values()))[kind]) for kind in kinds}
    print("| rule | " + " | ".join(f"{kind} ({counts[kind]})" for kind in kinds) + " |")
    print("|" + "---|" * (len(kinds) + 1))
    for rule, by_kind in answers.items():
        cells = [_share(by_kind[kind]) if kind in by_kind else "" for kind in kinds]
        print(f"| {rule} | " + " | ".join(cells) + " |")


def _guarded(pair: dict[str, list[float]], margin: float) -> bool:
    """Whether the better one wins by spatial-fd if the critic rules out what is more than the margin above the best."""
    rows = [
        {"hypothesis": name, "error": 1.0, **{rule: pair[rule][side] for rule in ("spatial-fd", "critic")}}
        for side, name in enumerate((BETTER, WORSE))
    ]
    return select(rows, "spatial-fd", math.inf, margin).hypothesis == BETTER


def _share(right: list[bool]) -> str:
    """The share with Wilson's interval."""
    low, high = wilson(sum(right), len(right))
    return f"{sum(right) / len(right):.2f} ({low:.2f}-{high:.2f})"


if __name__ == "__main__":
    main()
