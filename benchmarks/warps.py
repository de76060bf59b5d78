"""Which way of matching makes the best warps: `python -m benchmarks.warps RESULTS.jsonl --kind NAME=FOLDER ...`.

Pairs of the kind `generated` (`--faces N`) are samples of the generator with known latents, so that the oracle can be
measured on them: matching by the features that the generator really had. Pairs of other kinds are neighbours in their
folder's order. For every variant and pair the warp is measured at 256 rows by structure and structure-lite0 (whose
network takes no part in matching), style and spatial-fd to the kind's domain, with its `matched_share`, its seconds and
the peak memory of the process.

Variants are `NAME` or `NAME:key=value,...` with keys of `warp`, or of another section written whole, and `profile` and
`generator` (whose descriptor matches); `oracle:...` is matched by known latents. One line of RESULTS.jsonl per variant
and pair; lines that are there are skipped. `--table` only prints; intervals are 95 % of a paired bootstrap of the ratio
to the first variant. `--strip` draws the warps, one pair per row, after source and exemplar.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.oeft import GENERATED, GENERATOR, METRICS, _network, _read, domain_of
from benchmarks.settings import changes_of, lines_of, peak_gib
from mgi.config import RunConfig
from mgi.correspondence.dense import match, shifted_cells
from mgi.correspondence.matching import blend_cells, normalise, overlapping_cells
from mgi.correspondence.warping import PairWarp, warp_pair
from mgi.features import Backbone
from mgi.generators import Generator
from mgi.images import resize, to_uint8
from mgi.memory import keep_freed_memory
from mgi.metrics.base import Views
from mgi.pairs import Pair, lane_seed
from mgi.profiles import load_config
from mgi.training.descriptor_samples import oracle
from mgi.translators.descriptors import load_descriptor
from mgi.weights import load_generator
from storage.folders import list_images

ORACLE = "oracle"
SEED, TRUNCATION = 9_000_000, 0.85
BOOTSTRAP = 2000


def main() -> None:
    """Measure what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--kind", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--faces", type=int, default=0, help="pairs of generated faces with known latents")
    parser.add_argument("--pairs", type=int, default=24, help="pairs of each other kind")
    parser.add_argument("--variant", action="append", default=[], metavar="NAME:key=value,...")
    parser.add_argument("--profile", default="embedded")
    parser.add_argument("--domain-images", type=int, default=256)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--strip", type=Path)
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if not arguments.table:
        keep_freed_memory()
        _measure(arguments)
    print_table(lines_of(arguments.results))


def _measure(arguments: argparse.Namespace) -> None:
    done = {(line["variant"], line["kind"], line["pair"]) for line in lines_of(arguments.results)}
    variants = [_variant(spec, arguments.profile) for spec in arguments.variant or ["profile"]]
    size, rows = variants[0][1].warp.image_size, []
    for kind, pair, images, latents, domain in _pairs(arguments, size):
        warps = []
        for name, config in variants:
            known = name.startswith(ORACLE)
            if ((name, kind, pair.id) in done and not arguments.strip) or (known and latents is None):
                continue
            began = time.perf_counter()
            found = _oracle(images, latents, config) if known and latents else _warp(images, config, pair)
            seconds = time.perf_counter() - began
            warps.append(found.warp)
            if (name, kind, pair.id) in done:
                continue
            views = Views(found.warp, images[0], images[1], domain=domain)
            line: dict[str, Any] = {
                "variant": name,
                "kind": kind,
                "pair": pair.id,
                "measures": {metric.name: metric(views, _network) for metric in METRICS},
                "matched_share": found.info.get("matched_share"),
                "seconds": seconds,
                "peak_gib": peak_gib(),
            }
            with arguments.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        print(kind, pair.id, flush=True)
        if arguments.strip and warps:
            rows.append(torch.cat([*images, *warps], dim=3))
            widest = max(row.shape[3] for row in rows)
            filled = [torch.nn.functional.pad(row, (0, widest - row.shape[3]), value=1.0) for row in rows]
            Image.fromarray(to_uint8(torch.cat(filled, dim=2))[0]).save(arguments.strip)


def _pairs(arguments: argparse.Namespace, size: int) -> Any:
    """(kind, pair, [source, exemplar], their latents if they are known, domain)."""
    if arguments.faces:
        domain, generator = domain_of(GENERATED, [], arguments), _generator()
        for number in range(arguments.faces):
            latents = [_latent(2 * number), _latent(2 * number + 1)]
            with torch.no_grad():
                images = [_picture(generator, w, size) for w in latents]
            yield GENERATED, Pair(f"g{2 * number:03d}", f"g{2 * number + 1:03d}"), images, latents, domain
    for kind, folder in (kind.split("=", 1) for kind in arguments.kind):
        found = [Path(folder) / name for name in list_images(Path(folder))]
        chosen = found[: arguments.pairs]
        domain = domain_of(kind, found[arguments.pairs :], arguments)
        for number, source in enumerate(chosen):
            exemplar = chosen[(number + 1) % len(chosen)]
            images = [_read(path, size) for path in (source, exemplar)]
            yield kind, Pair(source.name, exemplar.name), images, None, domain


def _warp(images: list[Tensor], config: RunConfig, pair: Pair) -> PairWarp:
    seed = lane_seed(0, pair.id, "oeft")
    descriptor = _descriptor(config)
    return warp_pair(*images, _network(config.warp.backbone), config, seed, descriptor=descriptor)


def _oracle(images: list[Tensor], latents: list[Tensor], config: RunConfig) -> PairWarp:
    warp, generator = config.warp, _generator()
    with torch.no_grad():
        source, target = (normalise(resize(oracle(generator, w), warp.feature_size)) for w in latents)
        dual = warp.matching == "dual"
        found = match(source, target, warp.temperature, warp.patch, dual, warp.position_weight, warp.window)
        if warp.colours == "shifted":
            cells = shifted_cells(images[1], found.places(target.shape[-2:]), warp.feature_size)
        else:
            cells = found.colours(overlapping_cells(images[1], warp.feature_size))
        share = float(found.matched_share[0])
        return PairWarp(blend_cells(cells, warp.image_size), {"matched_share": share})


def _variant(spec: str, profile: str) -> tuple[str, RunConfig]:
    name, changes = changes_of(spec, "warp")
    chosen = changes.pop("warp.profile", profile)
    of_descriptor = {"generator": changes.pop("warp.generator")} if "warp.generator" in changes else {}
    return name, load_config(chosen, changes | of_descriptor)


@cache
def _descriptor(config: RunConfig) -> Backbone | None:
    return load_descriptor(config, _network, "cpu")


@cache
def _generator() -> Generator:
    return load_generator(GENERATOR)


def _latent(number: int) -> Tensor:
    generator = _generator()
    z = torch.randn(1, generator.z_dim, generator=torch.Generator().manual_seed(SEED + number))
    with torch.no_grad():
        return generator.truncate(generator.to_w(z), TRUNCATION)  # type: ignore[attr-defined,no-any-return]


def _picture(generator: Generator, w: Tensor, size: int) -> Tensor:
    image = generator.render(generator.head(w, 1), 1, w[:, -generator.tail_styles(1) :], generator.resolution // size)
    return image.clamp(-1, 1)


def print_table(lines: list[dict[str, Any]]) -> None:
    """Means over the pairs that all variants have, and the ratio to the first variant with its interval."""
    names = [metric.name for metric in METRICS]
    print("| kind | variant | pairs | " + " | ".join(names) + " | matched | seconds | peak GiB |")
    print("|" + "---|" * (len(names) + 6))
    order = list(dict.fromkeys(line["variant"] for line in lines))
    for kind in dict.fromkeys(line["kind"] for line in lines):
        found = {(line["variant"], line["pair"]): line for line in lines if line["kind"] == kind}
        here = [name for name in order if any(variant == name for variant, _ in found)]
        pairs = [pair for pair in dict.fromkeys(p for _, p in found) if all((name, pair) in found for name in here)]
        if not pairs:
            continue
        table = {name: np.array([[found[name, p]["measures"][m] for m in names] for p in pairs]) for name in here}
        for name in here:
            cells = [f"{mean:.3f}" for mean in table[name].mean(0)]
            if name != here[0]:
                ratios = np.log(table[name] / table[here[0]])
                low, high = _interval(ratios)
                middle = np.exp(ratios.mean(0))
                spans = zip(cells, middle, low, high, strict=True)
                cells = [f"{cell} (x{m:.2f}, {a:.2f}-{b:.2f})" for cell, m, a, b in spans]
            members = [found[name, p] for p in pairs]
            shares = [line["matched_share"] for line in members if line["matched_share"] is not None]
            cells.append(f"{np.mean(shares):.2f}" if shares else "")
            cells += [f"{np.median([m['seconds'] for m in members]):.2f}", f"{max(m['peak_gib'] for m in members):.1f}"]
            print("| " + " | ".join([kind, name, str(len(pairs)), *cells]) + " |")


def _interval(ratios: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % of the geometric mean of ratios, by resampling pairs."""
    pick = np.random.default_rng(0).integers(0, len(ratios), (BOOTSTRAP, len(ratios)))
    low, high = np.percentile(ratios[pick].mean(1), [2.5, 97.5], axis=0)
    return np.exp(low), np.exp(high)


if __name__ == "__main__":
    main()
