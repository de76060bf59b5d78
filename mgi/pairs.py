"""The nouns of a run: a pair to translate, a hypothesis to try on it, and the lane that is one of each.

Ids are stable (they depend on content, never on position in a listing) because they name chunks, markers and seeds:
the same pair in another run, on another worker or in another batch has the same id and therefore the same result.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Hypothesis:
    """One way to invert: fuse `num_codes` latent codes after `composing_layer` convolution layers (MGI section 3.2)."""

    composing_layer: int
    num_codes: int

    @property
    def id(self) -> str:
        """`L06N30`: sorts by layer, then by number of codes."""
        return f"L{self.composing_layer:02d}N{self.num_codes:02d}"

    @classmethod
    def parse(cls, text: str) -> Hypothesis:
        """The inverse of `id`. Raises ValueError for anything else."""
        layer, sep, codes = text.removeprefix("L").partition("N")
        if not (text.isascii() and text.startswith("L") and sep and layer.isdigit() and codes.isdigit()):
            raise ValueError(f"expected a hypothesis id like 'L06N30', found {text!r}")
        return cls(int(layer), int(codes))


FACE = "#"


def with_face(name: str, number: int) -> str:
    """How a pair calls a face of a picture: the first, largest one by the picture's name, others as `photo.jpg#2`."""
    return name if number == 1 else f"{name}{FACE}{number}"


def split_face(name: str) -> tuple[str, int]:
    """The inverse: (name of the picture, number of the face). No picture's own name ends so: it ends as an image.

    >>> split_face("photo.jpg#2"), split_face("a#3.png")
    (('photo.jpg', 2), ('a#3.png', 1))
    """
    picture, sep, number = name.rpartition(FACE)
    return (picture, int(number)) if sep and number.isascii() and number.isdigit() else (name, 1)


@dataclass(frozen=True)
class Pair:
    """A source (structure) and an exemplar (style), both as paths relative to their folders.

    A picture that is inverted on its own has no exemplar: "". A source may be one face of its picture (`with_face`).
    """

    source: str
    exemplar: str

    @property
    def id(self) -> str:
        """An id that is safe as a file name: both stems for people, eight hex digits of both names for uniqueness."""
        if not self.exemplar:
            return f"{_slug(self.source)}__{hashlib.sha256(self.source.encode()).hexdigest()[:8]}"
        digest = hashlib.sha256(f"{self.source}\0{self.exemplar}".encode()).hexdigest()[:8]
        return f"{_slug(self.source)}__{_slug(self.exemplar)}__{digest}"


def _slug(name: str) -> str:
    picture, face = split_face(name)
    stem = picture.rsplit("/", 1)[-1].rsplit(".", 1)[0] + (f"-{face}" if face > 1 else "")
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in stem)
    return safe.strip("-_")[:40] or "image"  # an id must not start like an option or a hidden file


def lane_seed(run_seed: int, pair_id: str, hypothesis_id: str = "") -> int:
    """A 63-bit seed that depends only on the run's seed and the lane's ids, so no batch or worker can change it."""
    digest = hashlib.sha256(f"{run_seed}/{pair_id}/{hypothesis_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def observation_seed(run_seed: int, pair_id: str) -> int:
    """The seed of a picture's own mask or rain, the same for all its lanes."""
    return lane_seed(run_seed, pair_id, "observation")
