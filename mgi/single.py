"""One call from pictures to a picture: what `mgi.translate` and `mgi.invert` are.

    import mgi
    mgi.translate(Image.open("me.jpg"), Image.open("painting.jpg")).save("result.png")

Networks are loaded at the first call and kept for the next one of the same settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from mgi.alignment import Aligner
from mgi.config import ConfigError
from mgi.profiles import load_config
from mgi.translators import load_translator
from mgi.translators.base import Conditioned, Finished, Inverts, Progress, Result, Searches, Translator

Picture = Image.Image | np.ndarray
"""A PIL picture of any mode, or uint8 [H, W, 3], [H, W, 4] or [H, W]."""


@dataclass(frozen=True)
class Made:
    """A finished picture.

    Args:
        image: the result, RGB.
        warp: the warped exemplar, RGB, for methods that have one; of an inversion what was observed.
        measures: the method's own numbers, such as its loss.
        info: how it was made, such as the hypothesis that was chosen.
    """

    image: Image.Image
    warp: Image.Image | None
    measures: dict[str, float]
    info: dict[str, float | str]

    @property
    def array(self) -> np.ndarray:
        """The result as uint8 [R, R, 3]."""
        return np.asarray(self.image)

    def save(self, path: str | Path, **options: Any) -> None:
        """Write the result, as PIL does."""
        self.image.save(path, **options)


def translate(
    source: Picture,
    exemplar: Picture,
    *,
    profile: str = "embedded",
    method: str | None = None,
    seed: int = 0,
    device: str = "auto",
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Made:
    """The source's structure in the exemplar's style.

    Args:
        source, exemplar: pictures of any size; faces are found and cut out as the profile says.
        profile: a name of `mgi profiles`, or a TOML file.
        method: one of `mgi methods`; None: the profile's.
        seed: for everything random.
        device: a torch device, or auto: a GPU if there is one.
        settings: `{"inversion.steps": 20}`, as `--set`.
        progress: told (step, steps, loss) within each phase.

    Raises:
        ConfigError: settings that do not work, or a method that needs more than two pictures.
        ValueError: what was given is no picture, or this pair cannot be translated.
        mgi.weights.WeightsError: weights are missing.
        mgi.alignment.NoFace: a face is required and there is none.
    """
    translator = _translator("translate", profile, method, device, settings)
    align = Aligner(translator.config.align, translator.picture_size)
    kept, style = (align(pixels(x, what), what)[0] for x, what in ((source, "source"), (exemplar, "exemplar")))
    return _made(translator.translate(kept, style, seed=seed, progress=progress))


def invert(
    image: Picture,
    *,
    profile: str = "embedded",
    method: str | None = None,
    seed: int = 0,
    device: str = "auto",
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Made:
    """The picture that a generator can make and that is nearest to the image, or to what is left of it.

    Args:
        image: a picture of any size.
        settings: as of `translate`; `{"inversion.degradation": "down8"}` degrades it first.

    The other arguments and what is raised: as of `translate`.
    """
    translator = _translator("invert", profile, method, device, settings)
    if not isinstance(translator, Inverts):
        raise ConfigError(f"{translator.config.method} inverts no pictures; `mgi methods` says what each can do")
    align = Aligner(translator.config.align, translator.picture_size)
    return _made(translator.reconstruct(align(pixels(image, "image"), "image")[0], seed=seed, progress=progress))


def phases(
    task: str, profile: str = "embedded", method: str | None = None, settings: Mapping[str, Any] | None = None
) -> int:
    """How often `progress` counts from 0, for bars; the translator is loaded."""
    translator = _translator(task, profile, method, "auto", settings)
    tuned = task == "translate" and translator.config.warp.method == "oeft"
    return (len(translator.groups) if isinstance(translator, Searches) else 1) + tuned


def pixels(picture: Picture, what: str) -> np.ndarray:
    """uint8 [H, W, 3] of a picture: turned as EXIF says, transparency over white.

    Raises:
        ValueError: it is something else; one line that names it.
    """
    if isinstance(picture, Image.Image):
        turned = ImageOps.exif_transpose(picture)
        if turned.mode.startswith(("I", "F")):
            raise ValueError(f"the {what} has more than 8 bits (mode {turned.mode}); convert it to 8 bits first")
        if turned.has_transparency_data:
            whole = turned.convert("RGBA")
            turned = Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole)
        return np.array(turned.convert("RGB"))
    if not isinstance(picture, np.ndarray):
        raise ValueError(f"the {what}: expected a PIL picture or an array, found {type(picture).__name__}")
    if (
        picture.dtype != np.uint8
        or picture.ndim not in (2, 3)
        or (picture.ndim == 3 and picture.shape[2] not in (3, 4))
    ):
        raise ValueError(f"the {what}: expected uint8 [H, W, 3], found {picture.dtype} {list(picture.shape)}")
    return pixels(Image.fromarray(picture), what)


def _translator(
    task: str, profile: str, method: str | None, device: str, settings: Mapping[str, Any] | None
) -> Translator:
    translator = load_translator(load_config(profile, {"task": task, **(settings or {})}, method), device)
    if isinstance(translator, Conditioned | Finished):
        raise ConfigError(f"{translator.config.method} needs more than pictures; use `mgi {task}` with folders")
    return translator


def _made(result: Result) -> Made:
    warp = None if result.warp is None else Image.fromarray(result.warp)
    # A warp's own seconds are for the tables of runs; in a picture's metadata they would make equal results differ.
    info = {name: value for name, value in result.info.items() if name != "seconds"}
    return Made(Image.fromarray(result.image), warp, dict(result.measures), info)
