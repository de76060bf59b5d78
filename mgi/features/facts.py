"""The layers of the feature networks and their sizes, without loading a network."""

from __future__ import annotations

_VGG = {
    "vgg16-imagenet": (2, 2, 3, 3, 3),
    "lpips-vgg": (2, 2, 3, 3, 3),
    "vgg19-imagenet": (2, 2, 4, 4, 4),
}
"""Convolutions of each block; every block but the first begins by halving."""
_INCEPTION = {"pool1": 73, "pool2": 35, "mixed_6e": 17, "mixed_7c": 8, "pool3": 1}
"""Rows of each layer; the same for every image, which is resized to 299 x 299 first."""


def known_layers(network: str) -> tuple[str, ...]:
    """Layers from shallow to deep; empty for a network that is not in this table."""
    if network == "inception-fid":
        return tuple(_INCEPTION)
    blocks = enumerate(_VGG.get(network, ()), start=1)
    return tuple(f"relu{block}_{index}" for block, count in blocks for index in range(1, count + 1))


def layer_rows(network: str, layer: str, image_rows: int) -> int | None:
    """Rows of a layer's feature on images with this many rows; None if the table does not have the layer."""
    if layer not in known_layers(network):
        return None
    if network == "inception-fid":
        return _INCEPTION[layer]
    return image_rows >> (int(layer.removeprefix("relu").partition("_")[0]) - 1)
