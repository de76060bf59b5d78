"""torch.compile for the passes of the inversion (`inversion.compile`), with a cache that outlives the process."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from platformdirs import user_cache_path

P = ParamSpec("P")
R = TypeVar("R")

_SHAPES = 512
"""Shapes per function: hypotheses differ in layer and codes, and each combination is compiled separately."""


def compiled(function: Callable[P, R], backend: str = "inductor") -> Callable[P, R]:
    """The function, compiled for every shape that it gets; kernels are kept in the user's cache folder.

    Shortcuts that only help without compilation on a CPU (Winograd, our own pixel norm) are replaced by plain
    operations inside.
    """
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(user_cache_path("mgi") / "compiled"))
    # Matrix products stay in full fp32 on purpose: the temperature of the matching would multiply TF32's rounding.
    warnings.filterwarnings("ignore", "TensorFloat32 tensor cores for float32 matrix multiplication available")
    from torch._dynamo import config as settings

    settings.recompile_limit = max(settings.recompile_limit, _SHAPES)
    settings.accumulated_recompile_limit = max(settings.accumulated_recompile_limit, 8 * _SHAPES)
    found: Callable[P, R] = torch.compile(function, dynamic=False, backend=backend)
    return found
