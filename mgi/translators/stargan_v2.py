"""StarGAN v2: by a model that `mgi train translator` made, or by a checkpoint that its authors released.

`options.checkpoint` is a file such as AFHQ's `100000_nets_ema.ckpt` (clovaai/stargan-v2), in the place of
`options.model`; size, widths and number of domains are read from it. Its domains have no names: `options.domain` is the
number of one, from 0, in the order of names (AFHQ: 0 cat, 1 dog, 2 wild; CelebA-HQ: 0 female, 1 male). CelebA-HQ's
holds the network that finds eyes, nose and mouth, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from mgi.config import ConfigError, validation_line
from mgi.generators.checkpoints import label
from mgi.systems.base import System
from mgi.systems.files import TranslatorFacts
from mgi.systems.stargan_networks import LATENT, STYLE
from mgi.systems.stargan_v2 import StarGANv2, StarGANv2Config
from mgi.translators.registry import Method
from mgi.translators.released import module_of, read_parts
from mgi.translators.trained import OPTIONS, TrainedTranslator, model_or_checkpoint

NAME = "stargan-v2"
WHOSE = "the public code (clovaai)"


class StarGANTranslator(TrainedTranslator):
    """A `Translator`.

    Raises:
        mgi.weights.WeightsMissing: the user has named no file, or it is not there.
        ConfigError: another option, or a file of another system or layout.
    """

    options = (*OPTIONS, "checkpoint")

    def _read(self, given: Mapping[str, Any]) -> tuple[System, TranslatorFacts]:
        if model_or_checkpoint(NAME, given, WHOSE) == "model":
            return super()._read(given)
        system = read_checkpoint(given["checkpoint"], self._device)
        settings = system.config.model_dump(mode="json")
        return system, TranslatorFacts(NAME, settings, "", 0, 0, 0.0, "", "not stated")


def read_checkpoint(file: object, device: str) -> StarGANv2:
    """The networks of a released checkpoint.

    Raises:
        mgi.weights.WeightsMissing: there is no such file.
        ConfigError: it is of another layout.
    """
    parts = read_parts(NAME, "checkpoint", file, WHOSE)
    tensors: dict[str, Tensor] = {}
    masked = "hpf.filter" in {key.removeprefix("module.") for key in parts.get("generator", {})}
    for name in (*StarGANv2.kept, "fan") if masked else StarGANv2.kept:
        if name not in parts:
            raise ConfigError(f"options.checkpoint: expected one of {NAME}, found no {name}{_others(parts)}")
        tensors |= {f"{name}.{key.removeprefix('module.')}": tensor for key, tensor in parts[name].items()}
    halvings = _numbered(tensors, r"style_encoder\.shared\.(\d+)\.conv2\.weight")

    def build() -> StarGANv2:
        size = 4 * 2**halvings
        first = len(tensors["generator.from_rgb.weight"])
        domains = _numbered(tensors, r"mapping_network\.unshared\.(\d+)\.0\.weight")
        lengths = (
            tensors["mapping_network.shared.0.weight"].shape[1],
            tensors["style_encoder.unshared.0.weight"].shape[0],
        )
        if lengths != (LATENT, STYLE):
            said = f"codes and styles of {LATENT} and {STYLE} numbers, found {lengths[0]} and {lengths[1]}"
            raise ConfigError(f"options.checkpoint: expected {said}")
        w_hpf = 8 / float(tensors["generator.hpf.filter"][1, 1]) if masked else 0.0
        names = tuple(str(number) for number in range(domains))
        config = StarGANv2Config(size=size, width=first * size // 256, domains=names, w_hpf=w_hpf)
        return StarGANv2(config, training=False)

    try:
        return module_of(NAME, "checkpoint", tensors, build, device)
    except ValidationError as error:
        raise ConfigError(f"options.checkpoint: expected one of {NAME}, {validation_line(error)}") from None


def _numbered(tensors: Mapping[str, Tensor], pattern: str) -> int:
    return sum(re.fullmatch(pattern, key) is not None for key in tensors)


def _others(parts: Mapping[str, Any]) -> str:
    return f" beside {label(', '.join(parts))}" if parts else ""


METHOD = Method(
    name=NAME,
    summary="a picture in the style of a domain, trained on folders of one's own or released",
    paper="Choi et al., CVPR 2020",
    translator="mgi.translators.stargan_v2:StarGANTranslator",
    brings=("options.model or options.checkpoint",),
)
