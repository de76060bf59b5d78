"""Stand-ins: networks of true architecture and size with seeded random weights, for runs without real weights.

They show that a profile runs to its end, not what it gives: every file says in its metadata that it is a stand-in,
and `mgi weights list`, run.json and the report repeat that. Made once and kept in the user's cache.

    with weights_folder(tmp_path, "vgg19-imagenet", "inception-fid"): ...
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import filelock
import numpy as np
import torch
from platformdirs import user_cache_path
from torch import Tensor

from mgi.weights import entry, folder
from mgi.weights.canonical import write_safetensors
from mgi.weights.zoo import sha256_of

VERSION = 1
"""Goes up when a stand-in changes, so that nobody uses an old one from the cache."""
LABEL = "random weights, seed 0"

State = dict[str, Tensor]


class _Random:
    """Normal tensors from one seed, on a scale that keeps the scale of activations."""

    def __init__(self) -> None:
        self._generator = torch.Generator().manual_seed(0)

    def normal(self, *shape: int, scale: float = 1.0) -> Tensor:
        return scale * torch.randn(*shape, generator=self._generator)

    def he(self, *shape: int) -> Tensor:
        """A weight [O, I, ...] before a ReLU (He initialisation)."""
        return self.normal(*shape, scale=math.sqrt(2 / math.prod(shape[1:])))


def _vgg19() -> tuple[State, dict[str, str]]:
    """torchvision's vgg19 convolutions under the zoo's names: 20.0 million numbers."""
    random, state, inputs = _Random(), {}, 3
    for block, (count, outputs) in enumerate([(2, 64), (2, 128), (4, 256), (4, 512), (4, 512)], start=1):
        for index in range(1, count + 1):
            state[f"conv{block}_{index}.weight"] = random.he(outputs, inputs, 3, 3)
            state[f"conv{block}_{index}.bias"] = random.normal(outputs, scale=0.1)
            inputs = outputs
    return state, {"input": "torchvision-rgb"}


def _inception() -> tuple[State, dict[str, str]]:
    """pytorch-fid's Inception: 23.9 million numbers; batch norms that change nothing."""
    from pytorch_fid.inception import FIDInceptionA, FIDInceptionC, FIDInceptionE_1, FIDInceptionE_2
    from torchvision.models import Inception3

    with torch.random.fork_rng(devices=[]):
        net = Inception3(num_classes=1008, aux_logits=False, init_weights=False)
        net.Mixed_5b, net.Mixed_5c = FIDInceptionA(192, 32), FIDInceptionA(256, 64)
        net.Mixed_5d, net.Mixed_6b = FIDInceptionA(288, 64), FIDInceptionC(768, 128)
        net.Mixed_6c, net.Mixed_6d = FIDInceptionC(768, 160), FIDInceptionC(768, 160)
        net.Mixed_6e, net.Mixed_7b = FIDInceptionC(768, 192), FIDInceptionE_1(1280)
        net.Mixed_7c = FIDInceptionE_2(2048)
    random = _Random()
    state = {key: value.clone() for key, value in net.state_dict().items() if value.is_floating_point()}
    for key, value in state.items():
        if value.ndim == 4:
            state[key] = random.he(*value.shape)
    return state, {}


def _lpips_vgg() -> tuple[State, dict[str, str]]:
    """torchvision's vgg16 convolutions under torchvision's names: 14.7 million numbers."""
    random, state, inputs, position = _Random(), {}, 3, 0
    for count, outputs in [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)]:
        for _ in range(count):
            state[f"features.{position}.weight"] = random.he(outputs, inputs, 3, 3)
            state[f"features.{position}.bias"] = random.normal(outputs, scale=0.1)
            inputs, position = outputs, position + 2
        position += 1
    return state, {}


def _channels(rows: int) -> int:
    """Widths of NVIDIA's networks of 1024 pixels."""
    return min(512, 16384 // rows)


def _pggan_1024() -> tuple[State, dict[str, str]]:
    """PGGAN of CelebA-HQ in mGANprior's layout: 18 layers, 23.1 million numbers. Weights are N(0, 1), as trained."""
    random, state, inputs = _Random(), {}, 512
    for block in range(9):
        rows = 4 << block
        outputs = _channels(rows)
        for index in (2 * block, 2 * block + 1):
            kernel = 4 if index == 0 else 3
            state[f"layer{index}.conv.weight"] = random.normal(outputs, inputs, kernel, kernel)
            state[f"layer{index}.wscale.bias"] = random.normal(outputs, scale=0.1)
            inputs = outputs
        state[f"output{block}.conv.weight"] = random.normal(3, outputs, 1, 1, scale=0.3)
        state[f"output{block}.wscale.bias"] = random.normal(3, scale=0.1)
    state["lod"] = torch.zeros(())
    return state, {}


def _stylegan_1024() -> tuple[State, dict[str, str]]:
    """StyleGAN of FFHQ in genforce's layout: 18 layers, 26.2 million numbers and the noise maps."""
    random, state = _Random(), {}
    for index in range(8):
        state[f"mapping.dense{index}.weight"] = random.normal(512, 512, scale=100.0)  # its rate is 0.01
        state[f"mapping.dense{index}.bias"] = random.normal(512)
    state["truncation.w_avg"] = torch.zeros(512)
    state["synthesis.lod"] = torch.zeros(())
    inputs = 512
    for index in range(18):
        rows = 4 << (index // 2)
        outputs, prefix = _channels(rows), f"synthesis.layer{index}"
        if index == 0:
            state[f"{prefix}.const"] = random.normal(1, 512, 4, 4)
        else:
            state[f"{prefix}.weight"] = random.normal(outputs, inputs, 3, 3)
        state[f"{prefix}.bias"] = random.normal(outputs, scale=0.1)
        state[f"{prefix}.apply_noise.weight"] = random.normal(outputs, scale=0.05)
        state[f"{prefix}.apply_noise.noise"] = random.normal(1, 1, rows, rows)
        state[f"{prefix}.style.weight"] = random.normal(2 * outputs, 512)
        state[f"{prefix}.style.bias"] = torch.zeros(2 * outputs)
        inputs = outputs
    for block in range(9):
        outputs = _channels(4 << block)
        state[f"synthesis.output{block}.weight"] = random.normal(3, outputs, 1, 1, scale=0.3)
        state[f"synthesis.output{block}.bias"] = random.normal(3, scale=0.1)
    return state, {}


MAKERS: dict[str, Callable[[], tuple[State, dict[str, str]]]] = {
    "vgg19-imagenet": _vgg19,
    "inception-fid": _inception,
    "lpips-vgg": _lpips_vgg,
    "pggan-celebahq-1024": _pggan_1024,
    "stylegan-ffhq-1024": _stylegan_1024,
}
"""Zoo names of the networks that have stand-ins."""


def standin(name: str) -> Path:
    """The file of a stand-in, made at its first use."""
    cache = user_cache_path("mgi") / "stand-ins"
    path = cache / f"{name}-{VERSION}.safetensors"
    cache.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(cache / ".lock"):
        if not path.is_file():
            state, metadata = MAKERS[name]()
            arrays: dict[str, np.ndarray] = {key: tensor.numpy() for key, tensor in state.items()}
            write_safetensors(path, arrays, {**metadata, "stand_in": LABEL})
    return path


def weights_folder(target: Path, *standins: str) -> Path:
    """A weights folder with these stand-ins and links to whatever real weights are here; for `MGI_WEIGHTS_DIR`."""
    target.mkdir(parents=True, exist_ok=True)
    for real in folder().glob("*.safetensors") if folder().is_dir() else ():
        for file in (real, real.with_suffix(".json")):
            if file.is_file() and real.stem not in standins:
                _link(file, target / file.name)
    for name in standins:
        path = standin(name)
        _link(path, target / f"{name}.safetensors")
        record = {"sha256": sha256_of(path), "file_sha256": "", "source": f"stand-in: {LABEL}"}
        (target / f"{name}.json").write_text(json.dumps(record), encoding="utf-8")
        assert entry(name).sha256 == "", f"{name} has a pinned hash: it cannot be stood in for"
    return target


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
