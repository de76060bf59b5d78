"""Generators behind one protocol; `load_file` reads one, whatever the checkpoint's layout (`mgi.generators.layouts`).

`mgi.weights.load_generator` takes names of the zoo as well.
"""

from mgi.generators.base import GeneratorError, fuse
from mgi.generators.loading import load_file
from mgi.generators.protocols import Generator, StyledGenerator, has_bf16, is_styled, is_tapped

__all__ = [
    "Generator",
    "GeneratorError",
    "StyledGenerator",
    "fuse",
    "has_bf16",
    "is_styled",
    "is_tapped",
    "load_file",
]
