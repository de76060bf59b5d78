"""Every system trained for some minutes on one folder of faces: `python -m benchmarks.translators FACES --labels CSV`.

    python -m benchmarks.translators kaokore/train --labels kaokore/labels.csv:gender --out models [--only NAME ...]
    mgi sample mobile-stylegan-ffhq --count 1000 --truncation 0.7 --each --out generated
    python -m benchmarks.translators kaokore/train --labels kaokore/labels.csv:gender --generated generated --out models

One thread each, at 64 pixels (32 where that many steps are needed), narrow: what two cores can do in a quarter of an
hour per system, not what the papers do.
A training that was stopped goes on when the command is given again. Printed for each: pictures seen, minutes, and the
scores of its first and its best evaluation; the folder gets `grids/NAME.jpg`, two rows of held-out pictures by each.
The suite `trained-kaokore` uses the models under the same names. With `--generated`, two more learn from a generator's
own samples: colours for grey faces, and large ones for small ones.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

ROWS, SHOWN = (1, 4), 128
"""Rows of each system's best grid that are shown, and the pixels of a picture there."""


@dataclass(frozen=True)
class Recipe:
    """One training: its name, steps, what its command has beside, and the system if that is called otherwise."""

    name: str
    steps: int
    options: tuple[str, ...]
    settings: tuple[str, ...] = ("width=32", "batch=4")
    system: str = ""
    size: int = 64
    generated: bool = False
    """Whether it learns from a generator's samples instead of the paintings."""


EDGES, GREY, SEGMENTS = (("--condition", name) for name in ("edges", "grey", "segments"))
DOMAINS = ("--domains",)
NARROW = ("width=16", "batch=1")
SHALLOW = ("width=16", "batch=1", "blocks=2", "scales=2", "learning_rate=0.0005")
LARGER = ("width=32", "blocks=4", "batch=8", "alone=0.8", "learning_rate=0.0005", "pixel_weight=1")
MAPS = ("width=16", "hidden=32", "batch=4", "learning_rate=0.001")
RECIPES = (
    Recipe("pix2pix", 4000, EDGES),
    Recipe("cyclegan", 2000, GREY, NARROW),
    Recipe("discogan", 1700, GREY, ("width=32", "batch=16", "curriculum=500"), size=32),
    Recipe("simgan", 600, GREY, ("width=32", "batch=16", "refiner_first=100", "discriminator_first=40", "history=512")),
    Recipe("unit", 1000, GREY, SHALLOW),
    Recipe("munit", 1200, GREY, SHALLOW),
    Recipe("srresnet", 1000, (), ("width=32", "blocks=8", "batch=8", "learning_rate=0.001")),
    Recipe("srgan", 1200, (), LARGER),
    Recipe(
        "stargan-v2", 1200, DOMAINS, ("width=4", "batch=8", "ema=0.98", "learning_rate=0.0004", "diversity_steps=1200")
    ),
    Recipe("swapping-autoencoder", 2000, (), ("width=4", "batch=8", "patches=4", "image_capacity=0.25", "ema=0.98")),
    Recipe("cocosnet", 250, SEGMENTS, ("width=16", "hidden=32", "batch=2", "learning_rate=0.0003")),
    Recipe("spade", 350, SEGMENTS, MAPS),
    Recipe("sean", 200, SEGMENTS, (*MAPS, "normalization=sean", "style=64"), system="spade"),
    Recipe("panoptic", 700, SEGMENTS, (*MAPS, "normalization=panoptic"), system="spade"),
    Recipe("edgegan", 300, EDGES, ("width=16", "batch=16", "learning_rate=0.001")),
    Recipe("generated-colours", 900, GREY, system="pix2pix", generated=True),
    Recipe("generated-larger", 700, (), LARGER, system="srgan", generated=True),
)


def main() -> None:
    """Train what is not trained yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces", type=Path)
    parser.add_argument("--labels", required=True, help="FILE.csv:COLUMN with the domain of every picture")
    parser.add_argument("--generated", type=Path, help="a folder of a generator's samples")
    parser.add_argument("--out", type=Path, default=Path("models"))
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--share", type=float, default=1.0, help="of the steps, for a quick look")
    asked = parser.parse_args()
    chosen = [recipe for recipe in RECIPES if not asked.only or recipe.name in asked.only]
    for recipe in chosen:
        if faces := asked.generated if recipe.generated else asked.faces:
            train(recipe, faces, asked.labels, asked.out / recipe.name, asked.share)
    report([recipe for recipe in RECIPES if (asked.out / recipe.name / "metrics.csv").exists()], asked.out)


def train(recipe: Recipe, faces: Path, labels: str, out: Path, share: float) -> None:
    """One training to its end, or nothing if it is there."""
    steps = max(10, round(recipe.steps * share))
    licence = "that of the generator" if recipe.generated else "CC BY-SA 4.0"
    command = [
        sys.executable,
        "-m",
        "mgi",
        "train",
        "translator",
        recipe.system or recipe.name,
        str(faces),
        "--out",
        str(out),
    ]
    command += [word for option in recipe.options for word in ([option, labels] if option in DOMAINS else [option])]
    command += [word for setting in recipe.settings for word in ("--set", setting)]
    command += f"--size {recipe.size} --steps {steps} --evaluate-every {max(1, steps // 8)} --threads 1 --quiet".split()
    command += ["--resume"] if (out / "training.json").exists() else ["--licence", licence]
    print(" ".join(command[2:]), file=sys.stderr, flush=True)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def report(recipes: list[Recipe], out: Path) -> None:
    """The table, and a picture of each."""
    print("| system | pictures seen | minutes | pictures/s | frechet, first | frechet, best | L1, first | L1, best |")
    print("|---|---|---|---|---|---|---|---|")
    for recipe in recipes:
        table = pd.read_csv(out / recipe.name / "metrics.csv")
        last = table.iloc[-1]
        errors = [table["l1"].iloc[0], table["l1"].min()] if "l1" in table else [float("nan")] * 2
        scores = (table["frechet"].iloc[0], table["frechet"].min(), *errors)
        said = " | ".join("-" if np.isnan(value) else f"{value:.3f}" for value in scores)
        minutes, rate = last["seconds"] / 60, last["images"] / last["seconds"]
        print(f"| {recipe.name} | {last['images']:,.0f} | {minutes:.0f} | {rate:.1f} | {said} |", flush=True)
        best = table["l1" if recipe.name == "srresnet" else "frechet"].idxmin()
        with Image.open(out / recipe.name / "samples" / f"{table['step'][best]:07d}.png") as grid:
            rows = [np.asarray(grid.convert("RGB"))[row * recipe.size : (row + 1) * recipe.size] for row in ROWS]
        shown = Image.fromarray(np.concatenate(rows))
        (out / "grids").mkdir(exist_ok=True)
        larger = (shown.width * SHOWN // recipe.size, shown.height * SHOWN // recipe.size)
        shown.resize(larger, Image.Resampling.BICUBIC).save(out / "grids" / f"{recipe.name}.jpg", quality=88)


if __name__ == "__main__":
    main()
