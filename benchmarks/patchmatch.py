"""What PatchMatch gains over all pairs of cells, and what it misses: `python -m benchmarks.patchmatch SOURCE EXEMPLAR`.

Cells of both pictures are matched as CoCosNet's are (unit vectors of 3 x 3 neighbourhoods, temperature 0.01), by
features of VGG-16 at relu3_1, on grids of 64 and 128 rows. Every variant runs in a process of its own, which says its
CPU seconds (one thread) and peak memory: all pairs at once (`full`), all pairs in parts of the rows (`parts`), and
PatchMatch by iterations and candidates. Against all pairs: `best` is the share of cells that find the same best cell,
`near` one at most a cell away from it, `score` the mean best similarity as a share of the true one, `weight` how much
of the full softmax the candidates hold, `warp` the mean difference of the warps (0 to 255).
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from benchmarks.settings import peak_gib
from mgi.features import load_backbone
from mgi.images import to_float
from mgi.systems.matching import TEMPERATURE, cells
from mgi.systems.patchmatch import SparseMatching, patchmatch

LAYER, DOWN, PART = "relu3_1", 4, 1024
SEARCHES = ((5, 1), (5, 4), (10, 4), (5, 16))
"""(iterations, candidates)."""


@dataclass(frozen=True)
class Measured:
    """One variant: CPU seconds, peak GiB, best cells [N], their similarities, the warp [N, 3], and for `weight`."""

    seconds: float
    peak: float
    best: np.ndarray
    score: np.ndarray
    warp: np.ndarray
    log_sum: np.ndarray


def vectors(file: Path, rows: int) -> tuple[Tensor, Tensor]:
    """(unit vectors [1, D, N], means of cells [1, N, 3] in [-1, 1]) of a picture."""
    side = rows * DOWN
    with Image.open(file) as image:
        picture = to_float(np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS))[None])
    with torch.no_grad():
        features = load_backbone("vgg16-imagenet")(picture, [LAYER])[LAYER]
    windows = F.unfold(features, 3, padding=1)
    return F.normalize(windows - windows.mean(1, keepdim=True), dim=1), cells(picture, DOWN)


@torch.no_grad()
def measure(source: Path, exemplar: Path, rows: int, kind: str, iterations: int, candidates: int) -> Measured:
    """One variant, in this process alone."""
    torch.set_num_threads(1)
    (ours, _), (theirs, values) = vectors(source, rows), vectors(exemplar, rows)
    start = time.process_time()
    if kind == "patchmatch":
        random = torch.Generator().manual_seed(0)
        found = patchmatch(ours, theirs, (rows, rows), random, candidates, iterations)
        warp = SparseMatching(ours, theirs, found, found).carry(values)[0]
        seconds, peak = time.process_time() - start, peak_gib()
        similar = torch.stack([(ours[0] * theirs[0][:, each]).sum(0) for each in found[0].unbind(-1)], -1)
        held = torch.logsumexp(similar / TEMPERATURE, -1)
        return Measured(seconds, peak, *(x.numpy() for x in (found[0, :, 0], similar[:, 0], warp, held)))
    step = len(ours[0, 0]) if kind == "full" else PART
    parts = []
    for at in range(0, rows * rows, step):
        scores = ours[0, :, at : at + step].T @ theirs[0] / TEMPERATURE
        log_sum = torch.logsumexp(scores, -1) if kind == "parts" else torch.zeros(0)
        score, best = scores.max(-1)
        parts.append((best, score * TEMPERATURE, torch.softmax(scores, -1) @ values[0], log_sum))
    seconds, peak = time.process_time() - start, peak_gib()
    return Measured(seconds, peak, *(torch.cat(x).numpy() for x in zip(*parts, strict=True)))


def line(name: str, rows: int, found: Measured, whole: Measured) -> str:
    """A row of the table."""
    away = [np.abs(a - b) for a, b in zip(np.divmod(found.best, rows), np.divmod(whole.best, rows), strict=True)]
    numbers = [
        float((found.best == whole.best).mean()),
        float((np.maximum(*away) <= 1).mean()),
        float(found.score.mean() / whole.score.mean()),
        float(np.exp(found.log_sum - whole.log_sum).mean()) if len(found.log_sum) else 1.0,
    ]
    shown = " | ".join(f"{number:.3f}" for number in numbers)
    warp = 127.5 * float(np.abs(found.warp - whole.warp).mean())
    return f"| {rows} x {rows} | {name} | {found.seconds:.1f} | {found.peak:.2f} | {shown} | {warp:.1f} |"


def _two(text: str) -> tuple[int, int]:
    iterations, candidates = map(int, text.split(","))
    return iterations, candidates


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("exemplar", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--searches", nargs="+", default=SEARCHES, metavar="ITERATIONS,CANDIDATES", type=_two)
    given = parser.parse_args()
    print("| cells | matching | CPU s | peak GiB | best | near | score | weight | warp |", flush=True)
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    variants = [("full", 0, 0), *(("patchmatch", *search) for search in given.searches)]
    for rows in given.rows:
        whole = None
        for kind, iterations, candidates in [("parts", 0, 0), *variants]:
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
                asked = (given.source, given.exemplar, rows, kind, iterations, candidates)
                found = alone.submit(measure, *asked).result()
            whole = whole or found
            name = kind if kind != "patchmatch" else f"{kind}, {iterations} iterations, {candidates} candidates"
            print(line(name, rows, found, whole), flush=True)


if __name__ == "__main__":
    main()
