"""What is trained, and how fast: the generator of a configuration, and learning rates by kind of parameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from mgi.training.adapted import Adapted, adapted
from mgi.training.config import TrainingConfig
from mgi.training.errors import TrainingError
from mgi.training.networks import Convolution, PGGANGenerator

_SMALLEST = 0.005
"""Size that a tensor is taken to have at least; the smallest of MobileStyleGAN that are not 0 have 0.006."""


def new_generator(
    config: TrainingConfig, channels: tuple[int, ...], start: Mapping[str, Tensor] | None
) -> PGGANGenerator | Adapted:
    """A PGGAN from scratch or, from the tensors of a parent, one that is adapted, with its frozen parts.

    Raises:
        TrainingError: the parent's sizes are not those of the configuration.
    """
    if start is None:
        return PGGANGenerator(channels, config.z_dim)
    generator = adapted(start)
    if (generator.resolution, generator.z_dim) != (config.resolution, config.z_dim):
        raise TrainingError(
            f"the parent makes {generator.resolution} pixels from {generator.z_dim} numbers, expected "
            f"{config.resolution} and {config.z_dim}; cut it to that size"
        )
    generator.freeze(config.freeze, config.freeze_below)
    return generator


def parameter_groups(network: nn.Module, config: TrainingConfig) -> list[dict[str, Any]]:
    """Trainable parameters in groups with learning rates, for an optimiser whose own is `learning_rate`.

    Equalised convolutions take that rate; heads on pretrained features `head_rate` times as much; each tensor of an
    adapted generator `generator_rate` times its size, `style_rate` times as much where it reads w, and `mapping_rate`
    times as much where w is made. Adam moves every number by about its rate, whatever the gradient, and the parent's
    tensors differ in size by a factor of 700: with one rate for all the smallest would be replaced within a hundred
    steps, and the largest would never move.
    """
    of_parents = [
        (module.part(name), parameter)
        for module in network.modules()
        if isinstance(module, Adapted)
        for name, parameter in module.named_parameters()
    ]
    known = {id(parameter) for _, parameter in of_parents}
    equalised = [
        p for m in network.modules() if isinstance(m, Convolution) for p in m.parameters() if id(p) not in known
    ]
    known |= {id(parameter) for parameter in equalised}
    others = [parameter for parameter in network.parameters() if id(parameter) not in known]
    groups = [(equalised, config.learning_rate), (others, config.learning_rate * config.head_rate)]
    own = {"styles": config.style_rate, "mapping": config.mapping_rate}
    for part, parameter in of_parents:
        rate = config.generator_rate * own.get(part, 1.0)
        groups.append(([parameter], rate * _size(parameter)))
    learn = [([parameter for parameter in group if parameter.requires_grad], rate) for group, rate in groups]
    return [{"params": group, "lr": rate} for group, rate in learn if group]


def _size(parameter: Tensor) -> float:
    """Root mean square of a parent's tensor; of one that is about 0, a size that lets it leave that."""
    return max(float(parameter.detach().square().mean().sqrt()), _SMALLEST)
