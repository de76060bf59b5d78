"""Adapting a generator under named settings: scores, speed and pictures, each for so many seconds or images.

    python -m benchmarks.adaptation pack IMAGES pack.npz --resolution 128
    python -m benchmarks.adaptation start mobile-stylegan-ffhq start.safetensors --resolution 128
    python -m benchmarks.adaptation train pack.npz start.safetensors --out FOLDER --seconds 300 --settings default blur

`pack` scales the pictures down and keeps them as WebP in one file; `start` cuts the parent and fits its image head.
`train` trains each setting, in processes of their own at the same time with `--parallel`, and writes for each a table
(seconds, images, score), a grid of samples per score, and the best running average. `--set` changes every setting.
The score is that of docs/training.md; `--networks` is a folder of
`vgg16-imagenet.safetensors` and `efficientnet-lite0.safetensors` to use instead of the zoo's, on a machine without it.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "gentle": {"generator_rate": 1e-3},
    "fast": {"generator_rate": 4e-3},
    "depthwise": {"freeze": ["mapping", "input"]},
    "depthwise-gentle": {"freeze": ["mapping", "input"], "generator_rate": 1e-3},
    "whole": {"discriminator": "projected", "structure": 0},
    "whole-gentle": {"discriminator": "projected", "structure": 0, "generator_rate": 1e-3},
    "free": {"structure": 0},
    "no-noise": {"noise": 0},
    "sharp": {"projected_size": 256},
    "styles": {"style_rate": 0.3},
    "no-styles": {"freeze": ["mapping", "input", "depthwise", "styles"]},
    "fine": {"freeze_below": 16},
    "blur": {"blur_images": 20_000},
    "no-blur": {"blur_images": 0},
    "slow-heads": {"head_rate": 0.03, "learning_rate": 1e-3},
    "no-head-start": {"head_start": 0},
    "no-flip": {"flip": False},
    "r1": {"r1": 0.1},
}
GRID = 36


def main() -> None:
    """Run one of the three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    packing = verbs.add_parser("pack")
    packing.add_argument("images", type=Path)
    packing.add_argument("out", type=Path)
    starting = verbs.add_parser("start")
    starting.add_argument("parent")
    starting.add_argument("out", type=Path)
    for verb in (packing, starting):
        verb.add_argument("--resolution", type=int, default=64)
    training = verbs.add_parser("train")
    training.add_argument("pack", type=Path)
    training.add_argument("start", type=Path)
    training.add_argument("--out", type=Path, required=True)
    training.add_argument("--seconds", type=float, default=1e9, help="each, with scoring")
    training.add_argument("--images", type=float, default=1e9, help="shown, each")
    training.add_argument("--every", type=float, default=30, help="seconds between two scores")
    training.add_argument("--samples", type=int, default=1024, help="per score")
    training.add_argument("--settings", nargs="+", default=["default"], choices=SETTINGS)
    training.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    training.add_argument("--parallel", action="store_true")
    training.add_argument("--networks", type=Path)
    training.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    if arguments.verb == "pack":
        pack(arguments.images, arguments.out, arguments.resolution)
    elif arguments.verb == "start":
        start(arguments.parent, arguments.out, arguments.resolution)
    elif len(arguments.settings) == 1:
        train(arguments, arguments.settings[0])
    else:
        each(arguments)


def pack(folder: Path, out: Path, resolution: int) -> None:
    """All pictures of a folder at one size, in one file."""
    from storage.folders import list_images
    from storage.images import read_image
    from storage.training_store import square

    parts = []
    for name in list_images(folder):
        buffer = io.BytesIO()
        Image.fromarray(square(read_image(folder / name).pixels, resolution)).save(buffer, "WEBP", quality=88, method=6)
        parts.append(np.frombuffer(buffer.getvalue(), np.uint8))
    np.savez(out, data=np.concatenate(parts), lengths=[len(part) for part in parts], resolution=resolution)
    print(f"{len(parts)} pictures, {out.stat().st_size / 2**20:.1f} MiB")


def unpacked(path: Path) -> np.ndarray:
    """The pictures of a pack, uint8 [N, R, R, 3]."""
    with np.load(path) as file:
        data, lengths, rows = file["data"], file["lengths"], int(file["resolution"])
    pixels = np.empty((len(lengths), rows, rows, 3), np.uint8)
    for number, end in enumerate(np.cumsum(lengths)):
        pixels[number] = np.asarray(Image.open(io.BytesIO(data[end - lengths[number] : end].tobytes())).convert("RGB"))
    return pixels


def start(parent: str, out: Path, resolution: int) -> None:
    """What training starts from, in half precision."""
    from mgi.training.parents import start_of

    tensors, _ = start_of(parent, resolution)
    save_file({name: tensor.half() for name, tensor in tensors.items()}, out, {"architecture": "mobile-stylegan"})
    print(f"{out}: {out.stat().st_size / 2**20:.1f} MiB")


def each(arguments: argparse.Namespace) -> None:
    """Every setting in a process of its own."""
    words, running = sys.argv[1:], []
    words = words[: words.index("--settings")] + words[words.index("--settings") + 1 + len(arguments.settings) :]
    for name in arguments.settings:
        command = [sys.executable, "-m", "benchmarks.adaptation", *words, "--settings", name]
        running.append(subprocess.Popen(command))
        if not arguments.parallel:
            running[-1].wait()
    if any(process.wait() for process in running):
        raise SystemExit("a setting failed; see above")


def train(arguments: argparse.Namespace, name: str) -> None:
    """One setting, from start to end."""
    from mgi.images import to_float, to_uint8
    from mgi.memory import keep_freed_memory
    from mgi.profiles import parse_value
    from mgi.sampling import tile_grid
    from mgi.training import Trainer, TrainingConfig
    from mgi.training.data import split
    from mgi.training.evaluation import HeldOut

    if arguments.networks:
        use_networks(arguments.networks)
    keep_freed_memory()  # half of the time on a CPU otherwise
    arguments.out.mkdir(parents=True, exist_ok=True)
    changes = {key: parse_value(text) for key, text in (part.split("=", 1) for part in arguments.set)}
    pixels, tensors = unpacked(arguments.pack), load_file(arguments.start)
    values = {"resolution": pixels.shape[1], **SETTINGS[name], **changes}
    config = TrainingConfig.adapting(str(arguments.start.name), "", **values)
    device = torch.device(arguments.device)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    trainer = Trainer(config, device, start=tensors)
    rows, held_out = split(len(pixels))
    judge = HeldOut(pixels, rows, held_out, device)
    everything = torch.from_numpy(pixels[rows]).to(device)
    batches = trainer.batches(len(rows))
    codes = torch.randn(GRID, config.z_dim, generator=torch.Generator().manual_seed(0))
    started = time.perf_counter()
    lines, best, due = ["seconds,images,images_per_s,score,generator,discriminator"], float("inf"), 0.0
    losses = None
    while True:
        spent = time.perf_counter() - started
        done = spent >= arguments.seconds or trainer.images_seen >= arguments.images
        if spent >= due or done:
            score = judge.score(trainer.sample, config.z_dim, arguments.samples)
            shown = f"{losses.generator:.3f},{losses.discriminator:.3f}" if losses else ","
            lines.append(
                f"{spent:.0f},{trainer.images_seen},{trainer.images_seen / max(spent, 1e-9):.1f},{score:.4f},{shown}"
            )
            print(f"{name}: {lines[-1]}", flush=True)
            (arguments.out / f"{name}.csv").write_text("\n".join(lines) + "\n")
            grid = Image.fromarray(tile_grid(list(to_uint8(trainer.sample(codes)))))
            grid.save(arguments.out / f"{name}-{trainer.images_seen:07d}.jpg", quality=90)
            if score < best:
                best = score
                card = {"images": str(trainer.images_seen), "score": f"{score:.4f}", "digest": config.digest()}
                trainer.export(arguments.out / f"{name}.safetensors", card)
            due = time.perf_counter() - started + arguments.every  # from here: a score may take longer than that
        if done:
            return
        losses = trainer.step(to_float(everything[next(batches)], device))


def use_networks(folder: Path) -> None:
    """Take the feature networks from a folder, whoever asks for them."""
    from mgi.features.efficientnet import read_efficientnet
    from mgi.features.vgg import read_vgg
    from mgi.training import evaluation, trainer

    def load(name: str, device: Any = "cpu", precision: Any = "fp32") -> Any:
        path = folder / f"{name}.safetensors"
        network: Any = read_vgg(name, path) if name.startswith("vgg") else read_efficientnet(name, path)
        return network.to(device)

    for module in (evaluation, trainer):
        module.load_backbone = load  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
