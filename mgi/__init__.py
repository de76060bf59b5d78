"""The science: exemplar-based image translation by GAN inversion, in PyTorch alone.

    import mgi
    mgi.translate(source, exemplar).save("result.png")     # pictures of PIL, or arrays uint8 [H, W, 3]
    mgi.invert(image, method="encoder").image
    mgi.load_styled("mobile-stylegan-ffhq").synthesize(w)  # mgi.load_generator takes generators without styles, too

Everything is imported when it is first used, so that `import mgi` costs nothing. For more than one call: README.md has
the lines from two files to a result and its metrics, and `mgi.catalogue` lists all methods and metrics.
"""

from __future__ import annotations

import os as _os
from typing import TYPE_CHECKING, Any

_os.environ.setdefault("GOMP_SPINCOUNT", "1000")
"""Of PyTorch's threads, which read it when PyTorch is first imported: a thread that waits for others spins for a moment
and then sleeps. By default it spins for milliseconds, and on a machine with other work that takes four fifths of the
speed (docs/benchmarks.md)."""

if TYPE_CHECKING:
    __version__: str
    from mgi.single import Made as Made
    from mgi.single import invert as invert
    from mgi.single import translate as translate
    from mgi.weights import load_generator as load_generator
    from mgi.weights import load_styled as load_styled

__all__ = ["Made", "invert", "load_generator", "load_styled", "translate"]
_HOMES = {"load_generator": "mgi.weights", "load_styled": "mgi.weights"}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name not in __all__:
        raise AttributeError(f"module 'mgi' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES.get(name, "mgi.single")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"} - {"TYPE_CHECKING", "Any", "annotations"})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mgi")
    except PackageNotFoundError:
        raise AttributeError("mgi has no version: it is imported from a checkout that is not installed") from None
