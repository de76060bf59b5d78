"""Weights of generators that follow pix2pixHD and SPADE: Xavier's start, and spectral normalisation."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized

GAIN = 0.02


def spectral(layer: nn.Module) -> nn.Module:
    """A layer whose weight is divided by its largest singular value (Miyato et al. 2018), one power step per pass.

    Training and translation take the same weights, once the vectors of the power method are kept with them.
    """
    xavier_weights(layer)
    found: nn.Module = spectral_norm(layer)
    return found


def plain(layer: nn.Module) -> nn.Module:
    """A layer as it is, with Xavier's weights."""
    return xavier_weights(layer)


def xavier_weights(network: nn.Module, gain: float = GAIN) -> nn.Module:
    """Glorot and Bengio 2010, normal, biases 0, as SPADE and CoCosNet start; layers under `spectral` have it."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and not is_parametrized(module):
            nn.init.xavier_normal_(module.weight, gain)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network
