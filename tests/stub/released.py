"""Checkpoints in layouts that others released, with random weights made by a rule, so that only outputs are kept."""

from __future__ import annotations

import json
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@cache
def layouts() -> dict[str, Any]:
    """Names and shapes of public checkpoints."""
    found: dict[str, Any] = json.loads((GOLDEN / "released_layouts.json").read_text())
    return found


def filled(layout: dict[str, list[int]]) -> dict[str, Tensor]:
    """{name: shape} -> weights, each from its name; spectral vectors are those of one step of the power method."""
    found: dict[str, np.ndarray] = {}
    for key, shape in layout.items():
        values = np.asarray(np.random.RandomState(zlib.crc32(key.encode())).standard_normal(shape))
        if key.endswith("weight_v"):
            values = values / np.linalg.norm(values)
        elif len(shape) > 1:
            values = values * np.sqrt(2 / np.prod(shape[1:]))
        else:
            values = values * 0.1 if key.endswith("bias") else np.abs(values) * 0.3 + key.endswith("running_var")
        found[key] = values.astype(np.float32)
    for key in layout:
        if key.endswith("weight_u"):
            weight = found[key[:-1] + "orig"]
            step = weight.reshape(len(weight), -1) @ found[key[:-1] + "v"]
            found[key] = step / np.linalg.norm(step)
    return {key: torch.from_numpy(np.array(values)) for key, values in found.items()}


def cocosnet_files(folder: Path, variant: str) -> dict[str, str]:
    """{option: file} of a small CoCosNet: `faces` or `poses`."""
    found = {}
    for option, name in (("correspondence", "latest_net_Corr.pth"), ("generator", "latest_net_G.pth")):
        found[option] = str(folder / name)
        torch.save(filled(layouts()["cocosnet"][variant][option]), found[option])
    return found
