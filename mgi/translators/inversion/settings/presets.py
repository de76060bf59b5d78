"""Settings of a method by its name, laid over a profile by `--method`."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from mgi.config import METHODS, ConfigError
from mgi.translators.inversion.settings import image2stylegan, mganprior, mgi, pulse, single_code, stylegan2_projector

_MODULES: dict[str, ModuleType] = dict(
    zip(METHODS, (mgi, mganprior, single_code, image2stylegan, pulse, stylegan2_projector), strict=True)
)


def preset(method: str, degradation: str, budget: str) -> dict[str, Any]:
    """Keys of the section `inversion` that a method decides.

    Args:
        method: one of `mgi.config.METHODS`.
        degradation: some methods have settings of their own for a task.
        budget: `published` adds what its paper states of the schedule.

    Raises:
        ConfigError: no such method.
    """
    if method not in _MODULES:
        raise ConfigError(f"unknown method {method!r}; use one of {', '.join(METHODS)}")
    module = _MODULES[method]
    published = module.published(degradation) if budget == "published" else {}
    return {"method": method, **module.settings(degradation), **published}


def summary(method: str) -> str:
    """The first line of a method's documentation."""
    return (_MODULES[method].__doc__ or "").partition("\n")[0]
