"""All systems by name: what `mgi train translator` takes. Others add theirs by the entry point group `mgi.systems`."""

from __future__ import annotations

from mgi.registry import Registry, RegistryError
from mgi.systems.base import System

OURS = {
    "simgan": "mgi.systems.simgan:SimGAN",
    "discogan": "mgi.systems.discogan:DiscoGAN",
    "unit": "mgi.systems.unit:UNIT",
    "srgan": "mgi.systems.srgan:SRGAN",
    "srresnet": "mgi.systems.srgan:SRResNet",
    "munit": "mgi.systems.munit:MUNIT",
    "cyclegan": "mgi.systems.cyclegan:CycleGAN",
    "pix2pix": "mgi.systems.pix2pix:Pix2Pix",
    "edgegan": "mgi.systems.edgegan:EdgeGAN",
    "cocosnet": "mgi.systems.cocosnet:CoCosNet",
    "spade": "mgi.systems.spade:Spade",
    "swapping-autoencoder": "mgi.systems.swapping_autoencoder:SwappingAutoencoder",
    "stargan-v2": "mgi.systems.stargan_v2:StarGANv2",
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
