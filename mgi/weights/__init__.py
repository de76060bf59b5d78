"""Pretrained weights: a zoo of named entries, each a verified `.safetensors` file in the weights folder.

    mgi.weights.path("vgg16-imagenet")     # fetched, checked and converted on first use
    mgi.weights.load_generator("kaokore")  # the same, then loaded; your own checkpoints by their path

`MGI_WEIGHTS_DIR` moves the folder, `MGI_WEIGHTS_MIRROR` names a folder or address that has the published files,
`MGI_OFFLINE=1` forbids the network.
"""

from mgi.weights.errors import WeightsCorrupt, WeightsError, WeightsMissing
from mgi.weights.generators import load_generator, load_styled
from mgi.weights.install import fetch, path
from mgi.weights.zoo import Entry, entries, entry, folder, stand_in, state, verify

__all__ = [
    "Entry",
    "WeightsCorrupt",
    "WeightsError",
    "WeightsMissing",
    "entries",
    "entry",
    "fetch",
    "folder",
    "load_generator",
    "load_styled",
    "path",
    "stand_in",
    "state",
    "verify",
]
