"""What is trained, and how fast: the generator of a configuration, and learning rates by kind of parameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from mgi.training.adapted import AdaptedGenerator
from mgi.training.config import TrainingConfig
from mgi.training.errors import TrainingError
from mgi.training.networks import Convolution, PGGANGenerator


def new_generator(
    config: TrainingConfig, channels: tuple[int, ...], start: Mapping[str, Tensor] | None
) -> PGGANGenerator | AdaptedGenerator:
    """A PGGAN from scratch or, from the tensors of a parent, one that is adapted, with its frozen parts.

    Raises:
        TrainingError: the parent's sizes are not those of the configuration.
    """
    if start is None:
        return PGGANGenerator(channels, config.z_dim)
    generator = AdaptedGenerator(start)
    if (generator.resolution, generator.z_dim) != (config.resolution, config.z_dim):
        raise TrainingError(
            f"the parent makes {generator.resolution} pixels from {generator.z_dim} numbers, expected "
            f"{config.resolution} and {config.z_dim}; cut it to that size"
        )
    generator.freeze(config.freeze, config.freeze_below)
    return generator


def parameter_groups(network: nn.Module, config: TrainingConfig) -> list[dict[str, Any]]:
    """Trainable parameters in groups with learning rates, for an optimiser whose own is `learning_rate`.

    Equalised convolutions take that rate; heads on pretrained features `head_rate` times as much; an adapted generator
    `generator_rate`, and `style_rate` times as much where it reads w.
    """
    adapted = {
        f"{prefix}.{name}": parameter
        for prefix, module in network.named_modules()
        if isinstance(module, AdaptedGenerator)
        for name, parameter in module.named_parameters()
    }
    equalised = [p for m in network.modules() if isinstance(m, Convolution) for p in m.parameters()]
    known = {id(parameter) for parameter in (*equalised, *adapted.values())}
    others = [parameter for parameter in network.parameters() if id(parameter) not in known]
    styles = [parameter for name, parameter in adapted.items() if ".affine." in name]
    weights = [parameter for name, parameter in adapted.items() if ".affine." not in name]
    groups = [
        (equalised, config.learning_rate),
        (others, config.learning_rate * config.head_rate),
        (weights, config.generator_rate),
        (styles, config.generator_rate * config.style_rate),
    ]
    learn = [([parameter for parameter in group if parameter.requires_grad], rate) for group, rate in groups]
    return [{"params": group, "lr": rate} for group, rate in learn if group]
