"""Files of trained translators: the networks that translate in half precision, and facts about where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from mgi.learnt_files import LearntFile, LearntFileError
from mgi.registry import RegistryError
from mgi.systems.base import System
from mgi.systems.registry import system_of


@dataclass(frozen=True)
class TranslatorFacts:
    """What a file says about itself.

    Args:
        system: its name in `mgi.systems.registry`.
        settings: of its configuration.
        condition: by which A is made of a picture (`mgi.systems.conditions`); empty: A are given as they are.
        steps, images: of the training so far; pictures that it was trained on.
        score, measured: of this snapshot, and what that is.
        licence: of the pictures.
    """

    system: str
    settings: dict[str, Any]
    condition: str
    steps: int
    images: int
    score: float
    measured: str
    licence: str


FILE = LearntFile("translator", TranslatorFacts, "mgi train translator", largest=2**30)


def write_system(path: Path, system: System, facts: TranslatorFacts) -> None:
    """Write what translates; the file appears whole or not at all."""
    tensors = {
        name: tensor
        for name, tensor in system.state_dict().items()
        if name.split(".")[0] in system.kept and tensor.is_floating_point()
    }
    FILE.write(path, tensors, facts)


def read_system(path: Path, device: str | torch.device = "cpu") -> tuple[System, TranslatorFacts]:
    """A system that translates, frozen, and its facts.

    Raises:
        LearntFileError: it is something else, damaged, or of a system that is not there.
    """
    tensors, facts = FILE.read(path)
    try:
        kind = system_of(facts.system)
        config = kind.config_type.model_validate(facts.settings)
    except (RegistryError, ValidationError) as error:
        reason = " ".join(str(error).split())[:160]
        raise LearntFileError(f"{path}: expected a system of this version ({reason}); train it again") from None
    with FILE.building(path):
        system = kind(config, training=False)
        system.load_state_dict(tensors)
    return system.to(device).eval().requires_grad_(False), facts
