"""What a setting of the inversion does over many pairs: `python -m benchmarks.variants RESULTS.jsonl FOLDER ...`.

Pairs are neighbours in each folder's order. Every pair is warped once and inverted under all hypotheses of every
variant (`NAME` or `NAME:key=value,...`, keys of section `inversion`), and the selection chooses. The table compares the
chosen results and the best loss with the first variant's: geometric means of the ratios, and the share of pairs that
became better. One line of RESULTS.jsonl per variant and pair; those that are there are skipped, so that a killed run
goes on. `--table` only prints what is there; `--pictures` draws warps and choices, a pair a row.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.settings import ENDINGS, lines_of, variant

MEASURES = ("best_loss", "loss", "l2_after", "vgg_after", "distance", "seconds")
"""The best loss of all hypotheses; of the chosen one: its loss, distances to the warp, and distance to the domain;
seconds of all hypotheses."""


def main() -> None:
    """Measure what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--profile", default="embedded")
    parser.add_argument("--variant", action="append", default=[], metavar="NAME:key=value,...")
    parser.add_argument("--pairs", type=int, default=12, help="pairs of each folder")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--pictures", type=Path)
    arguments = parser.parse_args()
    if not arguments.table:
        _measure(arguments)
    print_table(lines_of(arguments.results))


def _measure(arguments: argparse.Namespace) -> None:
    from mgi.translators import load_translator

    done = {(line["variant"], line["pair"]) for line in lines_of(arguments.results)}
    variants = [variant(spec, arguments.profile, "inversion") for spec in arguments.variant or [arguments.profile]]
    rows = []
    for source, exemplar in (pair for folder in arguments.folders for pair in _pairs(folder, arguments.pairs)):
        pair, warped, row = f"{source.parent.name}/{source.stem}", None, []
        for name, config in variants:
            if (name, pair) in done and not arguments.pictures:
                continue
            method = load_translator(config, "auto", arguments.threads)
            if warped is None:
                images = [np.asarray(Image.open(path).convert("RGB")) for path in (source, exemplar)]
                warped = method.warp(*images)
                row = [warped.source, warped.exemplar, warped.warp]
            line, picture = invert(method, warped, pair)
            row.append(picture)
            with arguments.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"variant": name, "pair": pair, **line}) + "\n")
            print(name, pair, {key: round(line[key], 4) for key in MEASURES}, flush=True)
        if arguments.pictures and warped is not None:
            size = row[-1].shape[:2]
            rows.append(np.concatenate([np.asarray(Image.fromarray(image).resize(size)) for image in row], axis=1))
            Image.fromarray(np.concatenate(rows)).save(arguments.pictures, quality=90)


def invert(method: Any, warped: Any, pair: str) -> tuple[dict[str, Any], np.ndarray]:
    """All hypotheses of one pair -> (MEASURES and the loss of every hypothesis, the chosen picture)."""
    from mgi.pairs import lane_seed
    from mgi.translators import Lane, ScoreInput

    results = {}
    for group in method.groups:
        lanes = [Lane(pair, warped.warp, hypothesis, lane_seed(0, pair, hypothesis.id)) for hypothesis in group]
        results |= dict(zip(group, method.invert(lanes), strict=True))
    reference = method.reference_features(warped.warp, warped.exemplar)
    good = {hypothesis: result for hypothesis, result in results.items() if not result.failed}
    inputs = [ScoreInput(h, r.arrays["features"], r.measures, reference) for h, r in good.items()]
    scores = method.score(inputs)
    table = [
        {"hypothesis": hypothesis.id, **result.measures, **score}
        for (hypothesis, result), score in zip(good.items(), scores, strict=True)
    ]
    choice = method.select(table)
    row = next(row for row in table if row["hypothesis"] == choice["hypothesis"])
    hypothesis = next(h for h in good if h.id == choice["hypothesis"])
    line = {
        "chosen": choice["hypothesis"],
        "best_loss": min(row["loss"] for row in table),
        **{name: row[name] for name in ("loss", "l2_before", "l2_after", "vgg_after")},
        "distance": choice["value"],
        "seconds": sum(row["seconds"] for row in table),
        "losses": {row["hypothesis"]: row["loss"] for row in table},
    }
    return line, method.preview(good[hypothesis].arrays, hypothesis)


def _pairs(folder: Path, count: int) -> list[tuple[Path, Path]]:
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in ENDINGS)[:count]
    return [(file, files[(i + 1) % len(files)]) for i, file in enumerate(files)]


def print_table(lines: list[dict[str, Any]]) -> None:
    """Ratios to the first variant over the pairs that both have."""
    found: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for line in lines:
        found[line["variant"]][line["pair"]] = line
    first = next(iter(found.values()), {})
    print("| variant | pairs | " + " | ".join(MEASURES) + " |")
    print("|" + "---|" * (len(MEASURES) + 2))
    for name, members in found.items():
        both = [pair for pair in first if pair in members]
        cells = []
        for measure in MEASURES:
            values = np.array([[members[pair][measure], first[pair][measure]] for pair in both])
            ratio = np.exp(np.log(values[:, 0] / values[:, 1]).mean())
            better = (values[:, 0] < values[:, 1]).mean()
            cells.append(f"{values[:, 0].mean():.4g}" + ("" if members is first else f" x{ratio:.3f} ({better:.2f})"))
        print(f"| {name} | {len(both)} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
