"""Files of directions: samples to label, labels to a boundary, components with pictures of what each does."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mgi.config import ConfigError
from mgi.directions import LatentSpace, direction_bytes, sidecar_of
from mgi.directions.amounts import words_of
from mgi.directions.boundary import FOLDS, Boundary, fit_boundary
from mgi.directions.ganspace import Components, components
from mgi.directions.labels import read_labels, two_classes
from mgi.directions.samples import draw, picture, read_latents
from mgi.generators import Generator, is_styled
from mgi.weights import load_generator
from mgi.weights.identity import generator_sha256
from storage.atomic import write_bytes, write_text
from tasks.editing.strips import Cell, has_key, strip, write_keyed

COLUMNS, PAGE = 10, 100
"""Samples in a row of a contact page, and on a page."""
SIGMAS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
"""Amounts on a component's strip, in standard deviations."""
SHOWN = 3
"""Samples on a component's strip."""

# ---------------------------------------------------------------------- sample


def write_samples(name: str, count: int, seed: int, folder: Path, device: str = "cpu") -> Iterator[Path]:
    """Write `latents.npz` (z [n, D] and, if there are styles, w [n, D]) and numbered contact pages of the images.

    Each sample depends on the seed and its own number only. Pages that are already there are kept.

    Args:
        name: a generator of the zoo or a checkpoint file.
        count, seed: how many samples, drawn from which seed.
        folder: where to.
        device: where to compute.

    Yields:
        Each file as soon as it is there.
    """
    generator = load_generator(name, device)
    drawn = draw(generator, count, seed, device)
    z = torch.from_numpy(drawn["z"])
    # z comes first and w last: the pages' keys depend on these bytes.
    arrays = {"z": drawn["z"], "generator": np.array(name), "seed": np.array(seed), **drawn}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(folder / "latents.npz", buffer.getvalue())
    yield folder / "latents.npz"
    # The weights too: without styles the latents of two checkpoints under one name are the same.
    latents = hashlib.sha256(buffer.getvalue() + generator_sha256(name).encode()).hexdigest()[:32]
    for first in range(0, count, PAGE):
        numbers = range(first, min(first + PAGE, count))
        path, key = folder / f"samples_{first:05d}.png", f"{latents} {numbers.start} {numbers.stop}"
        if not has_key(path, key):
            cells: list[Cell] = [(str(n), picture(generator, z[n].to(device))) for n in numbers]
            rows = [cells[at : at + COLUMNS] for at in range(0, len(cells), COLUMNS)]
            write_keyed(path, strip(rows, 128), key, {"mgi:generator": name, "mgi:seed": str(seed)})
        yield path


# ---------------------------------------------------------------------- fit


class Fit(NamedTuple):
    """A boundary, the classes on its two sides, and how many labels each has."""

    boundary: Boundary
    space: LatentSpace
    negative: str
    positive: str
    counts: tuple[int, int]


def fit_direction(
    latents_path: Path,
    labels_path: Path,
    target: Path,
    space: LatentSpace | None = None,
    threshold: float | None = None,
    positive: str | None = None,
) -> Fit:
    """Write the boundary between two classes of labelled samples as `target`, with a description next to it.

    Args:
        latents_path: `latents.npz` of `write_samples`.
        labels_path: CSV with the columns index and label; samples without a label are left out.
        target: the `.npy` to write.
        space: z or w; None: w if the file has it.
        threshold: labels are numbers, and positive above it; None: above their median, unless there are just two.
        positive: the label on the side to which the direction points; None: the one that sorts last.

    Raises:
        ConfigError: a file cannot be used, or the labels are not two classes of enough samples each.
    """
    arrays = read_latents(latents_path)
    space = space or ("w" if "w" in arrays else "z")
    if space not in arrays:
        raise ConfigError(f"{latents_path} has no latents in {space}: the generator has no styles; leave --space away")
    latents = arrays[space]
    labels = read_labels(labels_path, len(latents))
    sides, names = two_classes(list(labels.values()), threshold, positive)
    boundary = fit_boundary(latents[list(labels)], sides)
    fit = Fit(boundary, space, *names, (int((~sides).sum()), int(sides.sum())))
    known = {
        "kind": "boundary",
        "space": space,
        "generator": str(arrays["generator"]),
        "negative": fit.negative,
        "positive": fit.positive,
        "labels": list(fit.counts),
        "folds": FOLDS,
        "held_out_accuracy": round(boundary.accuracy, 4),
        "held_out_balanced_accuracy": round(boundary.balanced, 4),
        "spread": round(boundary.spread, 6),
    }
    _write_direction(target, boundary.normal, known)
    return fit


# ---------------------------------------------------------------------- ganspace


def write_components(
    name: str, count: int, samples: int, folder: Path, seed: int = 0, layer: int | None = None, device: str = "cpu"
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Write `component_00.npy` and so on, each with a description (.json) and a strip (.png).

    Args:
        name: a generator of the zoo or a checkpoint file.
        count: how many components.
        samples, seed, layer, device: of `mgi.directions.ganspace.components`.
        folder: where to.

    Yields:
        Each component's `.npy` and description once all its files are there.
    """
    generator = load_generator(name, device)
    found = components(generator, count, samples, seed, layer, device)
    examples = _examples(generator, found.space, seed, device)
    originals = [picture(generator, latent, found.space) for latent in examples]
    weights = generator_sha256(name).encode()
    for number, vector in enumerate(found.vectors):
        path = folder / f"component_{number:02d}.npy"
        known = _describe(found, number, name, samples, seed)
        _write_direction(path, vector, known)
        key = hashlib.sha256(direction_bytes(vector) + weights).hexdigest()[:32]
        if not has_key(path.with_suffix(".png"), key):
            step = torch.from_numpy(vector).to(device)
            rows = [_row(generator, found.space, *pair, step) for pair in zip(examples, originals, strict=True)]
            write_keyed(path.with_suffix(".png"), strip(rows), key, {"mgi:generator": name})
        yield path, known


def _examples(generator: Generator, space: LatentSpace, seed: int, device: str) -> Tensor:
    """Latents to show components on: samples that no component was measured on."""
    z = torch.randn(SHOWN, generator.z_dim, generator=torch.Generator().manual_seed(seed + 1)).to(device)
    with torch.inference_mode():
        return generator.to_w(z) if is_styled(generator) and space == "w" else z


def _row(generator: Generator, space: LatentSpace, latent: Tensor, original: np.ndarray, step: Tensor) -> list[Cell]:
    make: Callable[[float], np.ndarray] = lambda amount: picture(generator, latent + amount * step, space)  # noqa: E731
    return [("sample", original) if not amount else (words_of(amount), make(amount)) for amount in SIGMAS]


def _describe(found: Components, number: int, name: str, samples: int, seed: int) -> dict[str, Any]:
    return {
        "kind": "ganspace",
        "space": found.space,
        "generator": name,
        "component": number,
        "explained_variance": round(float(found.explained[number]), 6),
        "linear_in_latent": round(float(found.linear[number]), 4),
        "layer": found.layer,
        "samples": samples,
        "seed": seed,
    }


def _write_direction(path: Path, vector: np.ndarray, known: dict[str, Any]) -> None:
    """The description first: a direction without one would pass for any space."""
    write_text(sidecar_of(path), json.dumps(known, indent=1) + "\n")
    write_bytes(path, direction_bytes(vector))
