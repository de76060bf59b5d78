"""The methods side by side: `python -m benchmarks.methods RESULTS.jsonl PICTURE ... [--draw OUT.jpg]`.

Every picture is inverted by every method under the steps of the profile, and the table has the means over the pictures:
distances to the picture (of the start, where there is one hypothesis, and of the chosen result), the spatial Frechet
distance to the domain, and the seconds of all hypotheses. One line of RESULTS.jsonl per method and picture; those that
are there are skipped. `--draw` draws the pictures with their results, a picture a row.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.settings import ENDINGS, lines_of
from benchmarks.variants import invert
from mgi.config import METHODS
from mgi.profiles import load_config

COLUMNS = ("l2_before", "l2_after", "vgg_after", "distance", "seconds")


def main() -> None:
    """Measure what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("pictures", type=Path, nargs="*", help="files or folders")
    parser.add_argument("--profile", default="embedded")
    parser.add_argument("--method", action="append", default=[], choices=METHODS)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--draw", type=Path, help="write pictures and results to this file")
    arguments = parser.parse_args()
    files = [file for path in arguments.pictures for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    drawn = arguments.results.with_suffix("")
    for file in files:
        if file.suffix.lower() in ENDINGS:
            for method in arguments.method or METHODS:
                _measure(arguments, file, method, drawn)
    print_table(lines_of(arguments.results))
    if arguments.draw:
        rows = [[Image.open(path) for path in _row(drawn, line)] for line in _first(lines_of(arguments.results))]
        Image.fromarray(np.concatenate([np.concatenate(row, axis=1) for row in rows])).save(arguments.draw, quality=90)


def _measure(arguments: argparse.Namespace, file: Path, method: str, drawn: Path) -> None:
    from mgi.translators import load_translator

    if any(line["method"] == method and line["picture"] == file.stem for line in lines_of(arguments.results)):
        return
    chosen = load_translator(load_config(arguments.profile, {"task": "invert"}, method), "auto", arguments.threads)
    seen = chosen.observe(np.asarray(Image.open(file).convert("RGB")), seed=0)
    line, picture = invert(chosen, seen, file.stem)
    drawn.mkdir(parents=True, exist_ok=True)
    Image.fromarray(seen.warp).save(drawn / f"{file.stem}.png")
    Image.fromarray(picture).resize(seen.warp.shape[:2]).save(drawn / f"{file.stem}-{method}.png")
    with arguments.results.open("a", encoding="utf-8") as results:
        results.write(json.dumps({"method": method, "picture": file.stem, **line}) + "\n")
    print(method, file.stem, {name: round(line[name], 4) for name in COLUMNS}, flush=True)


def _first(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One line per picture."""
    return list({line["picture"]: line for line in lines}.values())


def _row(drawn: Path, line: dict[str, Any]) -> list[Path]:
    found = [drawn / f"{line['picture']}-{method}.png" for method in METHODS]
    return [drawn / f"{line['picture']}.png", *(path for path in found if path.is_file())]


def print_table(lines: list[dict[str, Any]]) -> None:
    """Means by method."""
    print("| method | pictures | " + " | ".join(COLUMNS) + " |")
    print("|" + "---|" * (len(COLUMNS) + 2))
    for method in METHODS:
        own = [line for line in lines if line["method"] == method]
        if own:
            cells = [f"{np.mean([line[name] for line in own]):.4g}" for name in COLUMNS]
            print(f"| {method} | {len(own)} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
