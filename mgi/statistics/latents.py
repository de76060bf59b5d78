"""The file `NAME.latents.safetensors`: latent prior and coarse head of one generator, in half precision."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mgi.inversion.coarse import CoarseHead
from mgi.inversion.prior import LatentPrior


def write_latents(path: Path, prior: LatentPrior, head: CoarseHead) -> None:
    """Write both as float16 (the prior's basis too: its columns stay orthonormal to 1e-4)."""
    tensors: dict[str, Tensor] = {
        "prior.mean": prior.mean,
        "prior.basis": prior.basis,
        "prior.scale": prior.scale,
        "head.layer": torch.tensor(head.layer),
        "head.weight": head.weight,
        "head.bias": head.bias,
        "head.style_weight": head.style_weight,
        "head.style_bias": head.style_bias,
    }
    wide = {"prior.mean", "prior.scale"}  # small, and their range does not fit half precision well
    halved = {k: t if k in wide or not t.is_floating_point() else t.half() for k, t in tensors.items()}
    save_file({k: t.contiguous() for k, t in halved.items()}, path)


def read_latents(path: Path) -> tuple[LatentPrior, CoarseHead]:
    """The inverse of `write_latents`, as float32."""
    t = {k: v.float() if v.is_floating_point() else v for k, v in load_file(path).items()}
    prior = LatentPrior(t["prior.mean"], t["prior.basis"], t["prior.scale"])
    head = CoarseHead(
        int(t["head.layer"]), t["head.weight"], t["head.bias"], t["head.style_weight"], t["head.style_bias"]
    )
    return prior, head
