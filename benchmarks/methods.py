"""The methods side by side: `python -m benchmarks.methods RESULTS PICTURE ... [--draw OUT.jpg]`.

Every picture is inverted by every method under the steps of the profile, and the table has the means over the pictures:
distances to the picture (of the start, where there is one hypothesis, and of the chosen result), the spatial Frechet
distance to the domain, and the seconds of all hypotheses. Every method is a run of the pipeline, RESULTS/NAME, with its
report; one that is there continues. Without pictures it only prints what is there. `--draw` draws the pictures with
their results, a picture a row. `taskset -c 0` keeps it on one core, and so in one thread.
"""

from __future__ import annotations

import argparse
import filecmp
import shutil
from pathlib import Path

from benchmarks.runs import chosen_lanes, draw, finished_runs
from benchmarks.settings import translate_into
from mgi.config import METHODS
from storage.folders import list_images

COLUMNS = ("l2_before", "l2_after", "vgg_after", "distance", "seconds")


def main() -> None:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="folder of the runs")
    parser.add_argument("pictures", type=Path, nargs="*", help="files or folders")
    parser.add_argument("--profile", default="embedded")
    parser.add_argument("--method", action="append", default=[], choices=METHODS)
    parser.add_argument("--draw", type=Path, help="write pictures and results to this file")
    arguments = parser.parse_args()
    if arguments.pictures:
        pictures = arguments.results / "pictures"
        gather(arguments.pictures, pictures)
        for method in arguments.method or METHODS:
            translate_into(arguments.results / method, pictures, None, arguments.profile, method=method)
    runs = [run for run in finished_runs(arguments.results) if run.name in METHODS]
    runs.sort(key=lambda run: METHODS.index(run.name))
    print_table(runs)
    if arguments.draw and runs:
        draw(runs, ("warp",), arguments.draw)


def gather(paths: list[Path], folder: Path) -> None:
    """Copy pictures, and those of folders, into one folder: what `mgi invert` takes."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        for file in [path / name for name in list_images(path)] if path.is_dir() else [path]:
            target = folder / file.name
            if not target.exists():
                shutil.copyfile(file, target)
            elif not filecmp.cmp(file, target, shallow=False):
                raise SystemExit(f"expected one picture called {file.name}, found another in {folder}; rename one")


def print_table(runs: list[Path]) -> None:
    """Means by method."""
    print("| method | pictures | " + " | ".join(COLUMNS) + " |")
    print("|" + "---|" * (len(COLUMNS) + 2))
    for run in runs:
        lanes = chosen_lanes(run)
        cells = [f"{lanes[name].mean():.4g}" for name in COLUMNS]
        print(f"| {run.name} | {len(lanes)} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
