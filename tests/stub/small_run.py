"""A run of three pairs with two small arrays, for the tests of the run store."""

from __future__ import annotations

import numpy as np
import pandas as pd

from storage.run_store import ArraySpec

HEADER = {
    "config": {"warp": {"layers": ("relu3_3",), "temperature": 100.0}, "generator": "g"},
    "digest": "abc",
    "inputs": {"sources": "/s", "exemplars": "/e", "pairing": "zip", "limit": None, "seed": 0},
    "weights": {"g": "11"},
    "created": "today",
}
ARRAYS = {"warp/warp": ArraySpec((8, 8, 3), "uint8"), "latents/L05N10": ArraySpec((5,), "float32")}
LATENTS = np.arange(5, dtype=np.float32) + 1


def plan(count: int) -> pd.DataFrame:
    ids = [f"p{i}" for i in range(count)]
    return pd.DataFrame({"index": range(count), "id": ids, "source": [f"{i}.png" for i in ids], "exemplar": "e.png"})
