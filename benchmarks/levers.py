"""What each lever of the embedded profile does to one pair: `python -m benchmarks.levers [--out strip.png]`.

Translates one pair of `examples/` under the profile, then with one setting changed at a time, and prints distances to
the warp (before and after), the spatial Frechet distance to the domain and the time of the inversion. One pair shows
directions, not significances: look at the strip.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]

VARIANTS: dict[str, dict[str, Any]] = {
    "embedded": {},
    "codes start near the mean": {"inversion.start": "mean"},
    "alpha starts at 1/N": {"inversion.alpha_start": "1/N"},
    "one style for the tail": {"inversion.tail": "single"},
    "no prior": {"inversion.prior_weight": 0.0},
    "no perceptual loss": {"inversion.perceptual_weight": 0.0},
    "every step at full size": {"inversion.coarse_steps": 0},
    "a single code": {"inversion.hypotheses": ["L07N01"]},
    "twice the steps": {"inversion.steps": 100, "inversion.coarse_steps": 84},
}


def main() -> None:
    """Run the variants and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=ROOT / "examples/sources/astronaut.jpg")
    parser.add_argument("--exemplar", type=Path, default=ROOT / "examples/exemplars/generated-b.jpg")
    parser.add_argument("--hypothesis", default="L07N10")
    parser.add_argument("--only", action="append", choices=list(VARIANTS), help="these variants instead of all")
    parser.add_argument("--out", type=Path, help="write warp and results side by side to this picture")
    arguments = parser.parse_args()
    from mgi.alignment.aligner import Aligner
    from mgi.profiles import load_config
    from mgi.translators import TranslatorError, load_translator

    pictures: list[np.ndarray] = []
    print(f"{'variant':<26}{'L2 before':>10}{'after':>8}{'VGG before':>12}{'after':>8}{'spatial-fd':>12}{'seconds':>9}")
    for name in arguments.only or VARIANTS:
        config = load_config("embedded", {"inversion.hypotheses": [arguments.hypothesis], **VARIANTS[name]})
        translator: Any = load_translator(config)
        align = Aligner(config.align, translator.picture_size)
        pair = [align(_read(path), path.name)[0] for path in (arguments.source, arguments.exemplar)]
        try:
            result = translator.translate(*pair)
        except TranslatorError as error:
            print(f"{name:<26} {error}")
            continue
        m, distance = result.measures, translator.judge.domain_distance(result.arrays["features"], "spatial-fd")
        print(
            f"{name:<26}{m['l2_before']:>10.4f}{m['l2_after']:>8.4f}{m['vgg_before']:>12.3f}{m['vgg_after']:>8.3f}"
            f"{distance:>12.2f}{m['seconds']:>9.1f}",
            flush=True,
        )
        size = translator.picture_size
        pictures = pictures or [result.warp]
        pictures.append(np.asarray(Image.fromarray(result.image).resize((size, size))))
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        blank = np.full_like(pictures[0], 255)
        pictures += [blank] * (-len(pictures) % 5)
        rows = [np.concatenate(pictures[i : i + 5], axis=1) for i in range(0, len(pictures), 5)]
        Image.fromarray(np.concatenate(rows)).save(arguments.out, quality=90)


def _read(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


if __name__ == "__main__":
    main()
