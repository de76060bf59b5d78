"""Translators that `mgi train translator` made: one class for all systems, since they share format and seam.

`options.model` is the file (MODEL/translator.safetensors). A system that was trained with `--condition` makes its
condition of the source itself; `options.source = "condition"` says that sources are conditions already. One that was
trained on maps reads them from the folder `options.labels`, and so does one of `--condition segments` if its sources
are conditions already. `options.backwards` translates from B to A where a system goes both ways, `options.domain` is
the domain of the results where it knows domains, and `options.guide = "latent"` draws a style by the seed instead of
taking the exemplar's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from mgi.config import ConfigError, RunConfig
from mgi.images import resize, to_float, to_uint8
from mgi.learnt_files import LearntFileError
from mgi.systems.base import Guide, System
from mgi.systems.conditions import CONDITIONS
from mgi.systems.drawing import encoded
from mgi.systems.files import TranslatorFacts, read_system
from mgi.translators.base import Progress, Result, TranslatorError
from mgi.translators.options import known_options
from mgi.translators.registry import Method
from mgi.weights import WeightsMissing

OPTIONS = ("model", "source", "labels", "backwards", "domain", "guide")


class TrainedTranslator:
    """A `Translator`; `Conditioned` if it was trained on maps.

    Raises:
        mgi.weights.WeightsMissing: the user has named no file, or it is not there.
        ConfigError: another option, or a file of another system.
    """

    options: ClassVar[tuple[str, ...]] = OPTIONS
    """Those that it knows."""

    def __init__(self, config: RunConfig, device: str) -> None:
        self.config, self._device = config, device
        name = config.translator
        given = known_options(config, name, self.options)
        self.system, self.facts = self._read(given)
        self._is_condition = one_of("source", given.get("source", "picture"), ("picture", "condition")) == "condition"
        self._latent = one_of("guide", given.get("guide", "exemplar"), ("exemplar", "latent")) == "latent"
        self._backwards = bool(given.get("backwards", False))
        self._domain = self._number(given.get("domain"))
        settings = self.system.config
        if (not self.facts.condition or self._is_condition) and (settings.labels or settings.channels != 3):
            self.conditions = str(given.get("labels") or "")
            if not self.conditions:
                raise ConfigError("options.labels: expected a folder with a map of every picture, found none")

    @property
    def picture_size(self) -> int:
        """Rows of pictures that it reads."""
        return self.system.source_size

    def translate(
        self, source: np.ndarray, exemplar: np.ndarray, seed: int = 0, progress: Progress | None = None
    ) -> Result:
        """A picture of the system's size; `seed` draws dropout and latent styles."""
        if hasattr(self, "conditions"):
            raise TranslatorError(f"{self.facts.system}: expected maps of both pictures; use translate_conditioned")
        given = self._is_condition or self._backwards
        return self._result(self._condition(source, given), exemplar, self._condition(exemplar), seed)

    def translate_conditioned(
        self,
        pictures: tuple[np.ndarray, np.ndarray],
        conditions: tuple[np.ndarray, np.ndarray],
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Result:
        """As `translate`, with maps float32 [C, S, S] of source and exemplar."""
        a, of_exemplar = (self._map(condition) for condition in conditions)
        return self._result(a, pictures[1], of_exemplar, seed)

    def _read(self, given: Mapping[str, Any]) -> tuple[System, TranslatorFacts]:
        return read_model(self.config.translator, given.get("model"), self._device)

    @torch.no_grad()
    def _result(self, a: Tensor, exemplar: np.ndarray, condition: Tensor, seed: int) -> Result:
        image = self.system.translate(a, self._guided(exemplar, condition), torch.Generator().manual_seed(seed))
        return Result(to_uint8(resize(image.clamp(-1, 1), image.shape[-1] * self.config.upsampling))[0])

    def _guided(self, exemplar: np.ndarray, condition: Tensor) -> Guide:
        domain = None if self._domain is None else torch.tensor([self._domain], device=self._device)
        picture = resize(to_float(exemplar, self._device), self.system.config.size)
        return Guide(picture, condition, domain, self._backwards, self._latent)

    def _condition(self, picture: np.ndarray, given: bool = False) -> Tensor:
        """A of a picture, or the picture itself if it is A, or B of a way back."""
        made = self.facts.condition and not given
        pixels = CONDITIONS[self.facts.condition](picture) if made else picture
        return encoded(pixels[None], self.system.config.labels).to(self._device)

    def _map(self, values: np.ndarray) -> Tensor:
        settings = self.system.config
        wanted = 1 if settings.labels else settings.channels
        if len(values) < wanted or (not settings.labels and len(values) != wanted):
            raise TranslatorError(f"{self.facts.system}: expected maps of {wanted} channels, found {len(values)}")
        if settings.labels and values[0].max() >= settings.labels:
            raise TranslatorError(f"expected labels below {settings.labels}, found {values[0].max():.0f}")
        kind = np.uint8 if settings.labels else np.float32
        return encoded(values[:wanted].transpose(1, 2, 0)[None].astype(kind), settings.labels).to(self._device)

    def _number(self, name: object) -> int | None:
        domains = self.system.config.domains
        if not domains:
            if name is not None:
                raise ConfigError(f"options.domain: {self.facts.system} knows no domains; remove it")
            return None
        if str(name) not in domains:
            found = "none" if name is None else name
            raise ConfigError(f"options.domain: expected one of {', '.join(domains)}, found {found}")
        return domains.index(str(name))


def read_model(name: str, model: object, device: str) -> tuple[System, TranslatorFacts]:
    """The system that `options.model` names.

    Raises:
        mgi.weights.WeightsMissing: it names none, or it is not there.
        ConfigError: it is no model of the system of this name.
    """
    file = Path(str(model or "")).expanduser()
    if not model or not file.is_file():
        found = f"found no file {file}" if model else "found none"
        command = f"`mgi train translator {name}`"
        raise WeightsMissing(f"{name}: expected options.model, a file that {command} made, {found}", "no model")
    try:
        system, facts = read_system(file, device)
    except LearntFileError as error:
        raise ConfigError(f"options.model: {error}") from None
    if facts.system != name:
        raise ConfigError(f"options.model: expected a model of {name}, found one of {facts.system}")
    return system, facts


def model_or_checkpoint(name: str, given: Mapping[str, Any], whose: str) -> str:
    """Which of both options the user set, where a method takes its own file or a released one.

    Raises:
        mgi.weights.WeightsMissing: neither.
        ConfigError: both.
    """
    found = [option for option in ("model", "checkpoint") if given.get(option)]
    if len(found) > 1:
        raise ConfigError("options.checkpoint: expected it or options.model, found both; remove one")
    if not found:
        made, released = f"a file that `mgi train translator {name}` made", f"one of {whose}"
        text = f"{name}: expected options.model, {made}, or options.checkpoint, {released}, found none"
        raise WeightsMissing(text, "no model")
    return found[0]


def one_of(name: str, found: object, names: tuple[str, ...]) -> str:
    """An option that is one of some names. Raises ConfigError for another."""
    if found not in names:
        raise ConfigError(f"options.{name}: expected one of {', '.join(names)}, found {found}")
    return str(found)


def _method(name: str, summary: str, paper: str) -> Method:
    translator = "mgi.translators.trained:TrainedTranslator"
    return Method(name, summary, translator, paper=paper, brings=("options.model",))


EDGEGAN = _method(
    "edgegan", "a picture of what a sketch shows, by a latent space of pictures and edge maps", "Gao et al., CVPR 2020"
)
PIX2PIX = _method("pix2pix", "a picture from its condition, learnt from pairs", "Isola et al., CVPR 2017")
CYCLEGAN = _method("cyclegan", "a picture of the other folder, learnt without pairs", "Zhu et al., ICCV 2017")
MUNIT = _method(
    "munit", "the source's content in the style of the exemplar, learnt without pairs", "Huang et al., ECCV 2018"
)
SRGAN = _method("srgan", "four times as many rows and columns, with detail", "Ledig et al., CVPR 2017")
SRRESNET = _method("srresnet", "four times as many rows and columns, by the squared error", "Ledig et al., CVPR 2017")
UNIT = _method("unit", "a picture of the other folder, through a shared latent space", "Liu et al., NeurIPS 2017")
SPADE = _method(
    "spade",
    "a picture from a map of classes; with SEAN's regional styles, or heeding instances",
    "Park et al., CVPR 2019",
)
DISCOGAN = _method("discogan", "a picture of the other folder, by relations that it finds", "Kim et al., ICML 2017")
SIMGAN = _method("simgan", "a simulated picture refined until it looks real", "Shrivastava et al., CVPR 2017")
