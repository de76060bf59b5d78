"""What a training of a generator is asked for, by a command or a deployment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flows.cli.training_settings import settings_of

if TYPE_CHECKING:
    from mgi.training import TrainingConfig


def generator_config(parent: str, given: Mapping[str, Any]) -> TrainingConfig:
    """The settings of a generator's training.

    Args:
        parent: name or file of the generator to adapt; empty: training from scratch.
        given: settings that are not the defaults.

    Raises:
        ConfigError: an unknown or impossible setting; one line.
    """
    from mgi.training.config import TrainingConfig

    values = dict(given)
    with settings_of(TrainingConfig):
        if not parent:
            return TrainingConfig.model_validate(values)
        from mgi.training.parents import code_length
        from mgi.weights.identity import generator_sha256

        values.setdefault("z_dim", code_length(parent))
        values.pop("parent", None)
        values.pop("parent_sha256", None)
        return TrainingConfig.adapting(parent, generator_sha256(parent), **values)
