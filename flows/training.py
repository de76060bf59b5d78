"""What a training of a generator is asked for, by a command or a deployment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mgi.config import ConfigError, validation_line
from mgi.near import near

if TYPE_CHECKING:
    from pydantic import BaseModel

    from mgi.training import TrainingConfig


@contextmanager
def settings_of(model: type[BaseModel]) -> Iterator[None]:
    """Making a model's settings inside: what is wrong with them is a ConfigError, and unknown ones list the known."""
    from pydantic import ValidationError

    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = ", ".join(model.model_fields)
            meant = near(field, model.model_fields)
            raise ConfigError(f"unknown training setting {field}{meant}; expected one of {known}") from None
        raise ConfigError(validation_line(error)) from None


def generator_config(parent: str, given: Mapping[str, Any]) -> TrainingConfig:
    """The settings of a generator's training.

    Args:
        parent: name or file of the generator to adapt; empty: training from scratch.
        given: settings that are not the defaults.

    Raises:
        ConfigError: an unknown or impossible setting; one line.
        mgi.training.TrainingError: no such parent.
    """
    from mgi.training.config import TrainingConfig

    values = dict(given)
    with settings_of(TrainingConfig):
        if not parent:
            return TrainingConfig.model_validate(values)
        from mgi.training.parents import code_length, lasting, parent_path
        from mgi.weights.identity import generator_sha256

        parent_path(parent)  # what is not there is said before it is compared
        place, before = lasting(parent), str(values.get("parent", ""))
        if before and lasting(before) == place:  # runs of older versions remember the path as it was typed
            place = before
        whose = {"parent": place, "parent_sha256": generator_sha256(lasting(place))}
        if "parent_sha256" in values:  # a run that is continued: what adapting starts with was settled when it began
            return TrainingConfig.model_validate({**values, **whose})
        values.setdefault("z_dim", code_length(parent))
        values.pop("parent", None)
        return TrainingConfig.adapting(place, whose["parent_sha256"], **values)
