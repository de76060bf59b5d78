"""What a setting of the inversion does over many pairs: `python -m benchmarks.variants RESULTS FOLDER ...`.

Pairs are neighbours in each folder's order. Every variant (`NAME` or `NAME:key=value,...`, keys of section `inversion`,
or of another one written whole) is a run of the pipeline, RESULTS/NAME, with its report; one that is there continues.
The table compares the chosen results and the best loss with those of the variant that was begun first: geometric means
of the ratios, and the share of pairs that became better. Without folders it only prints what is there. `--pictures`
draws warps and choices, a pair a row. `taskset -c 0` keeps it on one core, and so in one thread.
"""

from __future__ import annotations

import argparse
import csv
import os
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.runs import chosen_lanes, draw, finished_runs
from benchmarks.settings import changes_of, translate_into
from storage.folders import list_images

MEASURES = ("best_loss", "loss", "l2_after", "vgg_after", "distance", "seconds")
"""The best loss of all hypotheses; of the chosen one: its loss, distances to the warp, and distance to the domain;
seconds of all hypotheses."""


def main() -> None:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="folder of the runs")
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--profile", default="embedded")
    parser.add_argument("--variant", action="append", default=[], metavar="NAME:key=value,...")
    parser.add_argument("--pairs", type=int, default=12, help="pairs of each folder")
    parser.add_argument("--pictures", type=Path, help="draw warps and choices into this file")
    arguments = parser.parse_args()
    if arguments.folders:
        pairing = arguments.results / "pairs.csv"
        root = write_pairs(arguments.folders, arguments.pairs, pairing)
        for spec in arguments.variant or [Path(arguments.profile).stem]:
            name, changes = changes_of(spec, "inversion")
            translate_into(arguments.results / name, root, root, arguments.profile, str(pairing), changes)
    runs = finished_runs(arguments.results)
    print_table({run.name: chosen_lanes(run) for run in runs})
    if arguments.pictures and runs:
        draw(runs, ("source", "exemplar", "warp"), arguments.pictures)


def write_pairs(folders: list[Path], count: int, file: Path) -> Path:
    """Write the pairs of neighbours as a CSV file, which `mgi translate` takes as a pairing.

    Args:
        folders: of pictures.
        count: how many of each folder; the last one goes with the first.
        file: where to.

    Returns:
        The folder that its paths are relative to.
    """
    root = Path(os.path.commonpath([folder.resolve() for folder in folders]))
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(("source", "exemplar"))
        for folder in folders:
            names = [(folder.resolve() / name).relative_to(root) for name in list_images(folder)[:count]]
            rows.writerows(zip(names, [*names[1:], names[0]], strict=True))
    return root


def print_table(variants: dict[str, pd.DataFrame]) -> None:
    """Ratios to the first variant over the pairs that both have."""
    first = next(iter(variants.values()), None)
    print("| variant | pairs | " + " | ".join(MEASURES) + " |")
    print("|" + "---|" * (len(MEASURES) + 2))
    for name, lanes in variants.items():
        assert first is not None
        both = first.index.intersection(lanes.index)
        own, base = lanes.loc[both], first.loc[both]
        cells = []
        for measure in MEASURES:
            ratio = np.exp(np.log(own[measure] / base[measure]).mean())
            better = (own[measure] < base[measure]).mean()
            cells.append(f"{own[measure].mean():.4g}" + ("" if lanes is first else f" x{ratio:.3f} ({better:.2f})"))
        print(f"| {name} | {len(both)} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
