"""Files of encoders that were trained here: `mgi train encoder`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mgi.encoders import pyramid
from mgi.encoders.codes import Codes
from mgi.encoders.pyramid import PyramidEncoder
from mgi.encoders.small import SmallEncoder
from mgi.encoders.stages import Stage
from mgi.learnt_files import LearntFile

NETWORK, CODES = "network.", "codes."


@dataclass(frozen=True)
class EncoderFacts:
    """What an encoder's file says about itself.

    `generator` is a name or file, `generator_sha256` its content's; `size` the rows that it reads; `target` what the
    pictures of its target domain went through, if it had one; `errors` are of held-out pictures, `card` whatever else
    is worth knowing.
    """

    generator: str
    generator_sha256: str
    arch: str
    size: int
    target: str
    errors: dict[str, float]
    card: dict[str, Any] = field(default_factory=dict)


ENCODER = LearntFile("encoder", EncoderFacts, "mgi train encoder --generator GENERATOR --out FOLDER", largest=2**31)


@dataclass(frozen=True)
class TrainedEncoder:
    """An encoder of a file: pictures [B, 3, s, s] in [-1, 1] -> latents [B, rows, D] of its generator."""

    network: nn.Module
    codes: Codes
    facts: EncoderFacts

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Tensor:
        """The latents: W+ of a generator with styles, else z in one row."""
        return self.codes.latents(self.network(pictures))


def write_encoder(path: Path, network: nn.Module, codes: Codes, facts: EncoderFacts) -> None:
    """Write an encoder in half precision; its file appears whole or not at all."""
    tensors = {NETWORK + name: x for name, x in network.state_dict().items()}
    ENCODER.write(path, {**tensors, **{CODES + name: x for name, x in codes.state().items()}}, facts)


def read_facts(path: Path) -> EncoderFacts:
    """What a file says about itself. Raises LearntFileError: it is no encoder."""
    return ENCODER.read_facts(path)


def read_encoder(path: Path, device: str | torch.device = "cpu") -> TrainedEncoder:
    """An encoder from its file, on a device.

    Raises:
        LearntFileError: the file is no encoder, or is damaged.
    """
    tensors, facts = ENCODER.read(path)
    own = {name.removeprefix(NETWORK): x for name, x in tensors.items() if name.startswith(NETWORK)}
    with ENCODER.building(path):
        codes = Codes.of_state({name.removeprefix(CODES): x for name, x in tensors.items() if name.startswith(CODES)})
        network = _network(facts.arch, own, codes.rows)
    return TrainedEncoder(network.eval().requires_grad_(False).to(device), codes.to(device), facts)


def _network(arch: str, tensors: dict[str, Tensor], rows: int) -> nn.Module:
    """The network of a state dict. Raises KeyError or RuntimeError: it is another's, or there is no such arch."""
    if arch == "small":
        return SmallEncoder.of(tensors)
    network = {
        "psp": lambda: PyramidEncoder(rows, "psp"),
        "e4e": lambda: PyramidEncoder(rows, "e4e"),
        "e2style": lambda: Stage(3, (3, 4, rows - 7), pyramid.WIDTH),
    }[arch]()
    network.load_state_dict(tensors)
    return network
