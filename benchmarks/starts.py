"""Where an inversion starts, and what that saves: `python -m benchmarks.starts [--pairs 4] [--out strip.png]`.

Warps of a generator's own faces are inverted under the profile's hypotheses from three starts: random, the mean, and
what an encoder says of the warp. Printed for each, as means over pairs and hypotheses: the loss after some steps as a
ratio to the loss that the random start has at the end, the steps to get there, how different the hypotheses of a pair
are (features of VGG-16 at unit length), and the seconds of a pair.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from mgi.images import resize, to_float, to_uint8

STARTS: dict[str, dict[str, Any]] = {
    "random": {"inversion.start": "random"},
    "mean": {"inversion.start": "mean"},
    "encoder": {"inversion.start": "encoder"},
}
LAYERS = ("relu2_2", "relu3_3", "relu4_3")
SHOWN = (1, 5, 10, 15, 25)


def main() -> None:
    """Invert and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="embedded")
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=50)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for all starts")
    parser.add_argument("--encoder", default="", help="its file; the shipped one if none is given")
    parser.add_argument("--steps", type=int, action="append", help="also from the encoder with so many steps only")
    parser.add_argument("--out", type=Path, help="write warps and results side by side to this picture")
    arguments = parser.parse_args()
    from flows.settings import parse_assignments
    from mgi.features import load_backbone
    from mgi.memory import keep_freed_memory
    from mgi.profiles import load_config
    from mgi.translators import load_translator
    from mgi.translators.inversion.whole import invert_all
    from mgi.weights import load_generator

    keep_freed_memory()
    said: dict[str, Any] = {"inversion.encoder_file": arguments.encoder, **parse_assignments(arguments.set)}
    variants = dict(STARTS)
    for steps in arguments.steps or ():
        few = {"inversion.steps": steps, "inversion.coarse_steps": max(0, steps - 5)}
        variants[f"encoder, {steps} steps"] = {**STARTS["encoder"], **few}
    backbone = load_backbone("vgg16-imagenet")
    found: dict[str, list[tuple[np.ndarray, float, float]]] = {name: [] for name in variants}
    rows = []
    translators: dict[str, Any] = {}
    for name, changes in variants.items():
        config = load_config(arguments.profile, {**said, **changes})
        translators[name] = load_translator(config)
    first, generator = translators["random"], load_generator(config.generator)
    for pair in range(arguments.pairs):
        source, exemplar = _pair(generator, config.warp.image_size, arguments.seed + pair)
        warped = first.warp(source, exemplar, seed=pair)
        row = [source, exemplar, warped.warp]
        for name, translator in translators.items():
            began = time.perf_counter()
            lanes = invert_all(translator, warped, exemplar, pair, None, source)
            seconds = time.perf_counter() - began
            images = [
                translator.render(lane.arrays, hypothesis, seen=warped.warp) for hypothesis, lane in lanes.items()
            ]
            losses = np.stack([lane.arrays["loss"] for lane in lanes.values()])
            found[name].append((losses, _spread(images, backbone), seconds))
            row.append(images[0])
            print(f"pair {pair}, {name}: loss {np.nanmin(losses, axis=1).round(3)}, {seconds:.0f} s", flush=True)
        size = len(warped.warp)
        rows.append(np.concatenate([np.asarray(Image.fromarray(one).resize((size, size))) for one in row], axis=1))
    _print(found)
    if arguments.out:
        Image.fromarray(np.concatenate(rows)).save(arguments.out)


def _pair(generator: Any, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two faces of the generator at the size of warps."""
    z = torch.randn(2, generator.z_dim, generator=torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        images = generator.synthesize(generator.truncate(generator.to_w(z), 0.7)).clamp(-1, 1)
    both = to_uint8(resize(images, size, "area"))
    return both[0], both[1]


def _spread(images: list[np.ndarray], backbone: Any) -> float:
    """Mean perceptual distance between the hypotheses of a pair."""
    from mgi.losses.perceptual import perceptual_unit

    with torch.inference_mode():
        features = [backbone(resize(to_float(image), 128), LAYERS) for image in images]
        pairs = itertools.combinations(features, 2)
        return float(np.mean([float(perceptual_unit(one, other)[0]) for one, other in pairs] or [0.0]))


def _print(found: dict[str, list[tuple[np.ndarray, float, float]]]) -> None:
    base = [np.nanmin(losses, axis=1) for losses, _, _ in found["random"]]
    print(
        f"\n{'start':<20}"
        + "".join(f"{f'step {step}':>9}" for step in SHOWN)
        + f"{'end':>9}{'steps':>8}{'apart':>8}{'s':>7}"
    )
    for name, measured in found.items():
        ratios, needed = [], []
        for (losses, _, _), reached in zip(measured, base, strict=True):
            best = np.fmin.accumulate(losses, axis=1) / reached[:, None]
            ratios.append([*(best[:, min(step, best.shape[1]) - 1] for step in SHOWN), best[:, -1]])
            there = best <= 1.0
            needed.append(np.where(there.any(axis=1), there.argmax(axis=1) + 1, best.shape[1]))
        means = np.mean(np.asarray(ratios), axis=(0, 2))
        apart, seconds = (float(np.mean([row[place] for row in measured])) for place in (1, 2))
        print(
            f"{name:<20}"
            + "".join(f"{value:>9.2f}" for value in means)
            + f"{np.mean(needed):>8.1f}{apart:>8.3f}{seconds:>7.0f}"
        )


if __name__ == "__main__":
    main()
