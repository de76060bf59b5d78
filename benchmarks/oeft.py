"""What fine-tuning on each pair does to the warp: `python -m benchmarks.oeft RESULTS.jsonl --kind NAME=FOLDER ...`.

Pairs are neighbours in each folder's order (the last picture goes with the first). For every variant and pair the warp
is measured before the first iteration (the plain warp) and after some, by metrics of `mgi.metrics`, which see it with
256 rows and by networks that stay as they were; what is fine-tuned is the variant's own `warp.backbone`:

- structure, and structure-lite0, whose network takes no part in the fine-tuning;
- style, part of which is what is optimised;
- spatial-fd to the kind's domain: of generated faces the generator's statistics, of others those of `--domain-images`
  further pictures of the folder.

One line of RESULTS.jsonl per variant and pair; those that are there are skipped, so a killed benchmark continues.
`--faces N` first writes N generated faces into the folder of the kind `generated`. `--table` only prints what is there.
`--strip` draws warps by iteration, a pair a row; `--speed` only times. Variants are `NAME` or `NAME:key=value,...` with
keys of `oeft`, or of another section written whole (`warp.layers=["relu4_3"]`).
"""

from __future__ import annotations

import argparse
import json
import math
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.settings import lines_of, peak_gib, variant
from mgi.config import RunConfig
from mgi.correspondence.oeft import FineTuner
from mgi.features import Backbone, Chain, load_backbone
from mgi.images import fit_square, to_float, to_uint8
from mgi.memory import keep_freed_memory
from mgi.metrics.base import PairMetric, Views
from mgi.metrics.domain import DomainStatistics, build_statistics, cached_statistics, load_statistics
from mgi.metrics.samples import folder_images, generated_images
from mgi.metrics.spatial_fd import SPATIAL_FD
from mgi.metrics.structure import STRUCTURE, STRUCTURE_LITE0
from mgi.metrics.style import STYLE
from mgi.own_files import folder_sha256
from mgi.pairs import Pair, lane_seed
from mgi.statistics import shipped
from mgi.weights import load_generator
from storage.folders import list_images

GENERATED, GENERATOR, GENERATED_SEED = "generated", "mobile-stylegan-ffhq", 4_000
DOMAIN_NETWORK, DOMAIN_LAYER = "vgg16-imagenet", "relu4_3"
METRICS: tuple[PairMetric, ...] = (STRUCTURE, STRUCTURE_LITE0, STYLE, SPATIAL_FD)
OEFT = {"warp.method": "oeft"}


def main() -> None:
    """Measure what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--kind", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--faces", type=int, default=0, help="write this many faces into the folder of `generated`")
    parser.add_argument("--pairs", type=int, default=12, help="pairs of each kind")
    parser.add_argument("--numbers", type=int, nargs="+", metavar="N", help="only these of the pairs, from 0")
    parser.add_argument("--variant", action="append", default=[], metavar="NAME:key=value,...")
    parser.add_argument("--profile", default="embedded")
    parser.add_argument("--at", type=int, nargs="+", default=[0, 25, 50, 100, 200], help="iterations to measure at")
    parser.add_argument("--domain-images", type=int, default=256)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--strip", type=Path, help="draw the pairs by iteration into this picture (first variant)")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--speed", type=int, metavar="PAIRS", help="only time iterations of so many pairs side by side")
    parser.add_argument("--steps", type=int, default=8, help="how many to time")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.speed:
        keep_freed_memory()
        print_speed(arguments)
        return
    if not arguments.table:
        keep_freed_memory()
        _measure(arguments)
    print_table(lines_of(arguments.results))


def _measure(arguments: argparse.Namespace) -> None:
    done = {(line["variant"], line["kind"], line["pair"]) for line in lines_of(arguments.results)}
    folders = {name: Path(folder) for name, folder in (kind.split("=", 1) for kind in arguments.kind)}
    if arguments.faces:
        write_faces(folders[GENERATED], arguments.faces)
    variants = [variant(spec, arguments.profile, "oeft", OEFT) for spec in arguments.variant or ["profile"]]
    files, domains, rows = {}, {}, []
    for kind, folder in folders.items():
        found = [folder / name for name in list_images(folder)]
        files[kind] = found[: arguments.pairs]
        domains[kind] = domain_of(kind, found[arguments.pairs :], arguments)
    # Every fourth pair first: what there is of a run that is not finished stands for all of it.
    for number in sorted(arguments.numbers or range(arguments.pairs), key=lambda i: (i % 4 != 0, i % 2, i)):
        for kind, chosen in files.items():
            source, exemplar = chosen[number], chosen[(number + 1) % len(chosen)]
            pair = Pair(source.name, exemplar.name)
            todo = [v for v in variants if (v[0], kind, pair.id) not in done or arguments.strip]
            images = [_read(path, variants[0][1].warp.image_size) for path in (source, exemplar)]
            for name, config in todo:
                line, warps = run(config, images, pair, domains[kind], arguments.at)
                rows.append(torch.cat([*images, *warps], dim=3))
                with arguments.results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"variant": name, "kind": kind, "pair": pair.id, **line}) + "\n")
                print(name, kind, pair.id, f"{line['seconds']:.0f} s", flush=True)
                if arguments.strip:
                    Image.fromarray(to_uint8(torch.cat(rows, dim=2))[0]).save(arguments.strip, quality=90)


def tuner_of(config: RunConfig, source: Tensor, exemplar: Tensor, seeds: list[int]) -> FineTuner:
    """By the networks that the configuration names."""
    name = config.oeft.style_backbone
    backbone, style = _network(config.warp.backbone), None if name == "warp" else _network(name)
    assert isinstance(backbone, Chain)
    return FineTuner(source, exemplar, backbone, config.warp, config.oeft, seeds, style=style)


@cache
def _network(name: str) -> Backbone:
    return load_backbone(name)


def run(
    config: RunConfig, images: list[Tensor], pair: Pair, domain: DomainStatistics, at: list[int]
) -> tuple[dict[str, Any], list[Tensor]]:
    """Fine-tune on one pair and measure after some iterations -> (what to keep, the warps that were measured)."""
    source, exemplar = images
    tuner = tuner_of(config, source, exemplar, [lane_seed(0, pair.id, "oeft")])
    measures, losses, warps, seconds, work = {}, [], [], 0.0, 0.0
    for number in range(max(at) + 1):
        if number in at:
            warps.append(tuner.warp())
            views = Views(warps[-1], source, exemplar, domain=domain)
            measures[number] = {metric.name: metric(views, _network) for metric in METRICS}
        if number < max(at):
            began, worked = time.perf_counter(), time.process_time()
            losses.append(tuner.step()[0].tolist())
            seconds += time.perf_counter() - began
            work += time.process_time() - worked
    curve = np.array(losses)
    near = {number: curve[max(0, number - 5) : number + 5].mean(0).round(5).tolist() for number in at if losses}
    kept = {number: dict(zip(config.oeft.terms(), values, strict=True)) for number, values in near.items()}
    peak = peak_gib()
    settings = config.oeft.model_dump(mode="json")
    spent = {"seconds": seconds, "cpu_seconds": work, "peak_gib": peak}
    return {"measures": measures, "losses": kept, **spent, "settings": settings}, warps


def print_speed(arguments: argparse.Namespace) -> None:
    """Seconds per iteration and pair (median, so that a busy machine shows less) and the peak memory of this process.

    One variant per process, or the peak is the largest of all. Pictures are noise: nothing depends on them.
    """
    for name, config in (variant(spec, arguments.profile, "oeft", OEFT) for spec in arguments.variant or ["profile"]):
        shape = (2, arguments.speed, 3, config.warp.image_size, config.warp.image_size)
        source, exemplar = 2 * torch.rand(shape, generator=torch.Generator().manual_seed(0)) - 1
        tuner = tuner_of(config, source, exemplar, list(range(arguments.speed)))
        wall, work = [], []
        for _ in range(arguments.steps):
            began, worked = time.perf_counter(), time.process_time()
            tuner.step()
            wall.append((time.perf_counter() - began) / arguments.speed)
            work.append((time.process_time() - worked) / arguments.speed)
        tuner.warp()
        peak = peak_gib()
        pace, iterations = np.median(wall), config.oeft.iterations
        print(
            f"{name}: {arguments.speed} together, {torch.get_num_threads()} threads: {pace:.2f} s per iteration and "
            f"pair ({np.median(work):.2f} s of CPU), {pace * iterations / 60:.1f} min for {iterations}, "
            f"peak {peak:.2f} GiB",
            flush=True,
        )


def domain_of(kind: str, others: list[Path], arguments: argparse.Namespace) -> DomainStatistics:
    """Statistics that warps of a kind are compared with; made once beside the results where none ship."""
    ready = shipped(GENERATOR, f"{DOMAIN_NETWORK}-{DOMAIN_LAYER}-512.npz")
    if kind == GENERATED and ready is not None:
        return load_statistics(ready)
    others = others[:: max(1, len(others) // arguments.domain_images)][: arguments.domain_images]
    content = folder_sha256(others[0].parent, others)[:12]
    path = arguments.results.with_name(f"{arguments.results.stem}-{kind}-{content}.npz")
    batches, made_from = folder_images(others, 256, "cpu"), f"{len(others)} {kind}"
    return cached_statistics(
        path, lambda: build_statistics(batches, _network(DOMAIN_NETWORK), DOMAIN_LAYER, made_from=made_from)
    )


def write_faces(folder: Path, count: int) -> None:
    """Samples of the generator, 256 x 256, by a seed that no statistics were made with."""
    folder.mkdir(parents=True, exist_ok=True)
    if len(list(folder.glob("*.png"))) >= count:
        return
    for number, image in enumerate(generated_images(load_generator(GENERATOR), count, 256, "cpu", GENERATED_SEED)):
        Image.fromarray(to_uint8(image)[0]).save(folder / f"face{number:02d}.png")


def _read(path: Path, size: int) -> Tensor:
    with Image.open(path) as picture:
        return fit_square(to_float(np.asarray(picture.convert("RGB"))), size)


def print_table(lines: list[dict[str, Any]]) -> None:
    """Means over pairs by variant, kind and iteration; in brackets the share of pairs better than the plain warp's.

    `all` is the geometric mean over pairs and aspects (structure by both networks together, style, spatial-fd) of the
    ratio to the plain warp: below 1 is better on the whole.
    """
    names = [metric.name for metric in METRICS]
    print("| variant | kind | pairs | iteration | " + " | ".join(names) + " | all | CPU s per iteration |")
    print("|" + "---|" * (len(names) + 6))
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for line in lines:
        for kind in (line["kind"], "both"):
            groups.setdefault((line["variant"], kind), []).append(line)
    for (variant_name, kind), members in groups.items():
        for number in members[0]["measures"]:
            values = np.array([[line["measures"][number][name] for name in names] for line in members])
            plain = np.array([[line["measures"]["0"][name] for name in names] for line in members])
            ratio = np.log(values / plain)
            total = np.exp(np.stack([ratio[:, :2].mean(1), ratio[:, 2], ratio[:, 3]]).mean())
            better = [f" ({share:.2f})" if number != "0" else "" for share in (values < plain).mean(0)]
            cells = [f"{value:.3f}{share}" for value, share in zip(values.mean(0), better, strict=True)]
            steps = [max(1, *map(int, line["measures"])) for line in members]
            pace = np.mean([line.get("cpu_seconds", math.nan) / n for line, n in zip(members, steps, strict=True)])
            cells = [variant_name, kind, str(len(members)), number, *cells, f"{total:.3f}", f"{pace:.2f}"]
            print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
