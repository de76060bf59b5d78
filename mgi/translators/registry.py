"""All methods by name: what `--method` takes.

A new one is one file here and one line in `OURS`. Other packages add theirs through the entry point group
`mgi.translators`; each is a `Method`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mgi.config import METHODS, RunConfig
from mgi.registry import Registry, RegistryError, imported

Settings = Callable[[str], dict[str, Any]]
"""Degradation -> keys of the section `inversion`."""


@dataclass(frozen=True)
class Method:
    """A row of the table of methods; cheap to import, because it only names its translator.

    Args:
        name: what `--method` takes.
        summary: one line.
        translator: "module:Class", called as `Class(config, device)`; see `mgi.translators.base`.
        paper: where it was published.
        weights: networks of the zoo that it needs under every configuration.
        needs: configuration -> further (role, network), for methods whose networks the configuration names.
        settings: keys of the section `inversion` that make the method, for methods of that family.
        published: further keys that its paper states, under `inversion.budget = published`.
        brings: options that name files of the user's, without which it cannot be used.
    """

    name: str
    summary: str
    translator: str
    paper: str = ""
    weights: tuple[str, ...] = ()
    needs: Callable[[RunConfig], list[tuple[str, str]]] | None = None
    settings: Settings | None = None
    published: Settings | None = None
    brings: tuple[str, ...] = ()

    def networks(self, config: RunConfig) -> list[tuple[str, str]]:
        """(role, zoo name or file) of every network that it loads."""
        return [*(self.needs(config) if self.needs else ()), *(("method", name) for name in self.weights)]

    def load(self) -> type:
        """The translator's class.

        Raises:
            RegistryError: it cannot be imported.
        """
        found: type = imported(self.translator, f"method {self.name}: {self.translator}")
        return found


MGI = "mgi"
PLAIN: dict[str, Any] = {
    "confidence_weight": 0.0,
    "tail_start": "mean",
    "fused_spread": 0.0,
    "detail_weight": 0.0,
    "target_detail": 0.0,
    "pair_start": "none",
    "fallback": False,
}
"""As every method but MGI is published."""
_SETTINGS = "mgi.translators.inversion.settings"
OURS = {name: f"{_SETTINGS}.{name.replace('-', '_')}:METHOD" for name in METHODS}
OURS |= {"exemplar-warp": "mgi.translators.exemplar_warp:METHOD"}
OURS |= {"style-mix": "mgi.translators.style_mix:METHOD"}
OURS |= {"style-transfer": "mgi.translators.style_transfer:METHOD"}
OURS |= {"adain": "mgi.translators.adain:METHOD"}
OURS |= {"cocosnet": "mgi.translators.cocosnet.translator:METHOD"}
OURS |= {"swapping-autoencoder": "mgi.translators.swapping_autoencoder:METHOD"}
OURS |= {name: f"mgi.translators.released_encoders:{name.upper()}" for name in ("psp", "e4e", "e2style")}
OURS |= {"hfgi": "mgi.translators.hfgi:METHOD"}
OURS |= {"encoder": "mgi.translators.trained_encoder:ENCODER", "uda-inversion": "mgi.translators.trained_encoder:UDA"}
OURS |= {
    name: f"mgi.translators.trained:{name.upper().replace('-', '_')}"
    for name in ("pix2pix", "edgegan", "cyclegan", "munit", "srgan", "srresnet", "unit", "spade", "discogan", "simgan")
}
OURS |= {"stargan-v2": "mgi.translators.stargan_v2:METHOD"}
OURS |= {"given": "mgi.translators.given:METHOD"}

REGISTRY = Registry("method", "mgi.translators", OURS)


def method(name: str) -> Method:
    """The method with a given name.

    Raises:
        RegistryError: there is none, it cannot be loaded, or it is something else.
    """
    found = REGISTRY.load(name)
    if not isinstance(found, Method):
        package = REGISTRY.rows[name].package
        raise RegistryError(f"method {name} of {package}: expected an mgi.translators.Method, found {found!r:.80}")
    if found.name != name:
        raise RegistryError(f"method {name} calls itself {found.name}; both names have to be the same")
    return found


def preset(name: str, degradation: str, budget: str) -> dict[str, Any]:
    """Keys of the section `inversion` that a method decides; none if it is not an inversion.

    Args:
        name: the method.
        degradation: some methods have settings of their own for a task.
        budget: `published` adds what its paper states about the schedule.

    Raises:
        RegistryError: no such method.
    """
    found = method(name)
    if found.settings is None:
        return {}
    own = {} if name == MGI else PLAIN  # what a profile adds for MGI is not theirs
    published = found.published(degradation) if found.published and budget == "published" else {}
    return {"method": name, **own, **found.settings(degradation), **published}
