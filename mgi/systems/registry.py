"""All systems by name: what `mgi train translator` takes. Others add theirs by the entry point group `mgi.systems`."""

from __future__ import annotations

from mgi.registry import Registry, RegistryError
from mgi.systems.base import System

OURS = {
    "pix2pix": "mgi.systems.pix2pix:Pix2Pix",
    "cyclegan": "mgi.systems.cyclegan:CycleGAN",
    "discogan": "mgi.systems.discogan:DiscoGAN",
    "simgan": "mgi.systems.simgan:SimGAN",
    "unit": "mgi.systems.unit:UNIT",
    "munit": "mgi.systems.munit:MUNIT",
    "srresnet": "mgi.systems.srgan:SRResNet",
    "srgan": "mgi.systems.srgan:SRGAN",
    "stargan-v2": "mgi.systems.stargan_v2:StarGANv2",
    "spade": "mgi.systems.spade:Spade",
    "cocosnet": "mgi.systems.cocosnet:CoCosNet",
    "swapping-autoencoder": "mgi.systems.swapping_autoencoder:SwappingAutoencoder",
    "edgegan": "mgi.systems.edgegan:EdgeGAN",
}
REGISTRY = Registry("system", "mgi.systems", OURS)


def system_of(name: str) -> type[System]:
    """The system with a given name.

    Raises:
        RegistryError: there is none, it cannot be loaded, or it is something else.
    """
    found = REGISTRY.load(name)
    if not (isinstance(found, type) and issubclass(found, System)):
        raise RegistryError(f"system {name}: expected a subclass of mgi.systems.base.System, found {found!r:.80}")
    return found
