"""Reading CoCosNet's two files: `latest_net_Corr.pth` and `latest_net_G.pth` of the public code."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mgi.config import ConfigError
from mgi.systems.cocosnet_networks import Correspondence, Generator, Shape
from mgi.translators.released import module_of, read_released

NAME = "cocosnet"
_WHOSE = "the public code (microsoft/CoCosNet)"


def read_networks(correspondence: object, generator: object, device: str) -> tuple[Correspondence, Generator]:
    """Both networks, frozen.

    Raises:
        mgi.weights.WeightsMissing: the user has named no file, or it is not there.
        ConfigError: one has another layout.
    """
    first = _folded(read_released(NAME, "correspondence", correspondence, _WHOSE))
    second = _folded(read_released(NAME, "generator", generator, _WHOSE))
    for key in second:
        if "param_free_norm" in key:
            raise ConfigError(f"options.generator: expected a network trained with --PONO, found statistics ({key})")
    try:
        shape = Shape.of(first, second)
    except KeyError as error:
        raise ConfigError(f"options.correspondence: expected one of {NAME}, found no {error.args[0]}") from None
    return (
        module_of(NAME, "correspondence", first, lambda: Correspondence(shape), device),
        module_of(NAME, "generator", second, lambda: Generator(shape), device),
    )


def _folded(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Spectrally normalised weights as plain ones: W / (u W v), by the vectors of the last training step."""
    found = {}
    for key, tensor in tensors.items():
        name = key.removesuffix("_orig")
        if name == key:
            if not key.endswith(("weight_u", "weight_v")):
                found[key] = tensor
            continue
        try:
            u, v = tensors[f"{name}_u"], tensors[f"{name}_v"]
        except KeyError as error:
            raise ConfigError(f"options: {key} needs {error.args[0]}, which the file lacks") from None
        found[name] = tensor / (u @ tensor.flatten(1) @ v)
    return found
