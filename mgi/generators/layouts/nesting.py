"""Where the generator is in a checkpoint: training code saves it together with optimisers and other networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mgi.generators.base import GeneratorError
from mgi.generators.layouts import nvidia, tensorflow
from mgi.generators.pickled.records import DataParallel, Network, Persistent, mapping
from mgi.generators.pickled.refused import Refused

NESTED = ("generator_smooth", "avgG", "g_ema", "G_ema", "average", "state_dict", "generator", "netG", "G")
"""Keys under which training code saves a generator; running averages come first. `average` is ours."""

_DEPTH = 8


def generator_state(content: Any, name: str) -> dict[str, Any]:
    """The generator's own names and tensors, whatever lies around it: a state dict, a network, or (G, D, Gs).

    Raises:
        GeneratorError: there is no generator.
    """
    try:
        return _found(content, name, {}, _DEPTH)
    except Refused as error:  # of a record that contains itself
        raise Refused(f"{name} {error}") from None


def _found(content: Any, name: str, beside: dict[str, Any], depth: int) -> dict[str, Any]:
    if isinstance(content, list | tuple) and content:
        content = content[-1]
    if isinstance(content, DataParallel):
        content = mapping(content.state.get("_modules")).get("module")
    if isinstance(content, Persistent):
        return dict(nvidia.state_of(content, name))
    if isinstance(content, Network):
        return dict(tensorflow.state_of(content, name))
    if not isinstance(content, Mapping) or not content or depth == 0:
        raise _nothing(name)
    state = _bare({str(key): value for key, value in content.items()})
    # pSp and e4e save a StyleGAN2 next to an encoder, and the mean latent next to both, as rosinality does.
    beside = beside | {key: state[key] for key in ("latent_avg",) if isinstance(state.get(key), Tensor)}
    decoder = {key.removeprefix("decoder."): value for key, value in state.items() if key.startswith("decoder.")}
    if decoder:
        return beside | decoder
    for key in NESTED:
        if isinstance(state.get(key), Mapping | Persistent | Network) and state[key]:
            return _found(state[key], name, beside, depth - 1)
    if not any(isinstance(value, Tensor) for value in state.values()):
        raise _nothing(name)
    return beside | state


def _nothing(name: str) -> GeneratorError:
    return GeneratorError(f"{name} holds no generator; expected a state dict, a dict with G_ema, or (G, D, Gs)")


def _bare(state: dict[str, Any]) -> dict[str, Any]:
    """Without the prefix that PyTorch's DataParallel puts before every name."""
    wrapped = bool(state) and all(key.startswith("module.") for key in state)
    return {key.removeprefix("module."): value for key, value in state.items()} if wrapped else state
