"""A direction as a file: `NAME.npy`, perhaps with a `NAME.json` next to it that names its space and generator.

A direction is a vector of the latent space in which the generator's own samples are edited: w if it has styles,
else z. InterfaceGAN's public boundaries are such files, of shape [1, 512] and length 1. Amounts are multiples of the
vector in the file. `mgi directions fit` writes vectors of length 1, `mgi directions ganspace` vectors as long as one
standard deviation of the samples along them.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np

from mgi.config import ConfigError

LatentSpace = Literal["z", "w"]
LARGEST = 64 * 2**20
"""No direction is larger than this many bytes: 18 styles of 512 float64 numbers are 74 kB."""


@dataclass(frozen=True)
class Direction:
    """A vector [D] for all styles alike or [styles, D], float32 and finite.

    `space` and `generator` are None if unknown; `digest` is the SHA-256 of the file.
    """

    name: str
    vector: np.ndarray
    space: LatentSpace | None = None
    generator: str | None = None
    digest: str = ""


def read_direction(path: str | Path, space: LatentSpace | None = None) -> Direction:
    """The direction in a `.npy` file; its name is the file's.

    Args:
        path: a file of float numbers [D], [1, D] or [styles, D]; objects in it are refused, so none of its code runs.
        space: the space, if the caller knows it; otherwise its sidecar is read.

    Raises:
        ConfigError: it is not such a file, not finite or zero, or its sidecar names another space.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"direction {path} {'is a folder' if path.is_dir() else 'does not exist'}; give a .npy file")
    if path.stat().st_size > LARGEST:
        raise ConfigError(f"direction {path} has {path.stat().st_size / 2**20:.0f} MiB; expected one vector as .npy")
    data = path.read_bytes()
    try:
        vector = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else "empty"
        raise ConfigError(f"direction {path} is no .npy file of numbers ({reason}); write it with numpy.save") from None
    described = _sidecar(path)
    said = described.get("space")
    if space is not None and said is not None and said != space:
        raise ConfigError(f"{sidecar_of(path)} says that {path.name} is a direction in {said}, not in {space}")
    return Direction(
        path.stem,
        _checked(vector, path),
        space or cast("LatentSpace | None", said),
        described.get("generator"),
        hashlib.sha256(data).hexdigest(),
    )


def _checked(vector: np.ndarray, path: Path) -> np.ndarray:
    """[D] or [styles, D] float32."""
    shape = "x".join(map(str, vector.shape)) or "a single number"
    if not np.issubdtype(vector.dtype, np.floating):
        raise ConfigError(f"direction {path} holds {vector.dtype}; expected float numbers [D], [1, D] or [styles, D]")
    if vector.ndim not in (1, 2) or 0 in vector.shape:
        raise ConfigError(f"direction {path} has the shape {shape}; expected [D], [1, D] or [styles, D]")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as infinite
        vector = vector.astype(np.float32)
    if not np.isfinite(vector).all():
        raise ConfigError(f"direction {path} holds NaN or infinity; make it again")
    if not vector.any():
        raise ConfigError(f"direction {path} is zero everywhere; make it again")
    return vector[0] if vector.ndim == 2 and len(vector) == 1 else vector


def require_fit(direction: Direction, dimension: int, styles: int, space: LatentSpace) -> None:
    """Raise ConfigError unless latents [styles, dimension] of `space` can move along a direction.

    Args:
        direction: as read.
        dimension: D of the generator.
        styles: rows of its W+; 0 if it has none.
        space: the space the latents are moved in.
    """
    name, vector = direction.name, direction.vector
    if direction.space not in (None, space):
        raise ConfigError(
            f"direction {name} is one in {direction.space}, but the latents of this run move in {space}; "
            f"make one in {space} (mgi directions fit --space {space})"
        )
    if vector.shape[-1] != dimension:
        raise ConfigError(
            f"direction {name} has {vector.shape[-1]} dimensions, the generator of this run {dimension}; "
            "take a direction that was made for this generator"
        )
    if vector.ndim == 2 and space == "z":
        raise ConfigError(f"direction {name} has a vector for each of {len(vector)} styles; expected one vector in z")
    if vector.ndim == 2 and len(vector) != styles:
        raise ConfigError(f"direction {name} is for {len(vector)} styles, the generator of this run has {styles}")


def sidecar_of(path: Path) -> Path:
    """The path of a direction's description."""
    return path.with_suffix(".json")


def direction_bytes(vector: np.ndarray) -> bytes:
    """A vector as the bytes of a `.npy` file, float32 [1, D] like InterfaceGAN's boundaries."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(vector, np.float32).reshape(1, -1), allow_pickle=False)
    return buffer.getvalue()


def _sidecar(path: Path) -> dict[str, Any]:
    """What is known about a direction; empty if there is no sidecar."""
    beside = sidecar_of(path)
    try:
        described = json.loads(beside.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        described = None
    spaces = (None, *get_args(LatentSpace))
    if not isinstance(described, dict) or described.get("space") not in spaces:
        raise ConfigError(f"{beside} does not describe a direction (space z or w); fix it or remove it")
    return described
