"""The method of a run as workers see it: loaded once per process, replaceable by name for tests and benchmarks."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from mgi.config import ConfigError, RunConfig
from storage.array_spec import ArraySpec

if TYPE_CHECKING:
    from mgi.translators import Inverts, Searches, Translator

FACTORY = "MGI_METHOD_FACTORY"
"""Names a replacement `module:function(config) -> Translator`; used by tests and benchmarks of the pipeline only."""


def translator_of(config: RunConfig, threads: int | None = None) -> Translator:
    """The translator that `config` describes, on this process's device.

    Args:
        config: the run's configuration.
        threads: CPU threads of PyTorch; None leaves its default. Always given by workers: Dask's nanny starts them
            with OMP_NUM_THREADS=1, and the number also decides the order of float sums.

    Raises:
        mgi.weights.WeightsError: weights are missing or corrupt; one line that says what to do.
    """
    factory = os.environ.get(FACTORY)
    if factory:
        return _replaced(factory, config)
    from mgi.translators import load_translator  # imports PyTorch: seconds that `mgi status` need not wait

    return load_translator(config, threads=threads)


@lru_cache(maxsize=2)
def _replaced(factory: str, config: RunConfig) -> Translator:
    module, _, name = factory.partition(":")
    try:
        build = cast("Callable[[RunConfig], Any]", getattr(import_module(module), name))
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{FACTORY}={factory}: expected an importable module:function ({error})") from None
    return build(config)


def searching(translator: Translator) -> Searches:
    """The translator, which tries hypotheses.

    Raises:
        ConfigError: it does not.
    """
    from mgi.translators import Searches

    if not isinstance(translator, Searches):
        raise ConfigError(f"{translator.config.method} tries no hypotheses; use a method of the inversion family")
    return translator


def inverting(translator: Translator) -> Inverts:
    """The translator, which inverts pictures as they are.

    Raises:
        ConfigError: it only translates pairs.
    """
    from mgi.translators import Inverts

    if not isinstance(translator, Inverts):
        raise ConfigError(
            f"{translator.config.method} translates pairs and does not invert single pictures; use `mgi translate`, or "
            "another method"
        )
    return translator


@dataclass(frozen=True)
class Layout:
    """What the store and the schedule must know about a method before the first unit."""

    picture: int
    """S: rows of pictures and warps."""
    arrays: dict[str, dict[str, ArraySpec]]
    """{hypothesis id: {name: what one lane keeps under it}}."""
    lanes: int
    """How many pairs a call of the inversion takes, at least 1."""
    groups: list[list[str]]
    """Ids of the hypotheses that one call inverts together."""


def layout_of(config_json: str, threads: int | None = None) -> Layout:
    """The layout of the method that a configuration describes; called where the units will run.

    Raises:
        mgi.weights.WeightsError: networks are missing; it names all of them.
        ConfigError: settings that cannot work together; it names every problem.
    """
    config = RunConfig.model_validate_json(config_json)
    if FACTORY not in os.environ:
        from mgi.translators.networks import fetch_all

        fetch_all(config)  # including what only later stages load: nothing is computed before everything is here
    translator = translator_of(config, threads)
    if not config.searches:
        if config.task == "invert":
            inverting(translator)
        return Layout(translator.picture_size, {}, 1, [])
    method = searching(translator)
    arrays = _specs(method, config)
    groups = [[hypothesis.id for hypothesis in group] for group in method.groups]
    return Layout(method.picture_size, arrays, max(1, int(method.lanes_per_batch)), groups)


def _specs(method: Searches, config: RunConfig) -> dict[str, dict[str, ArraySpec]]:
    from mgi.inversion.solver import snapshot_steps
    from mgi.translators import Composed
    from tasks.arrays import lane_specs

    hypotheses = config.inversion.all_hypotheses()
    shapes = {hypothesis.id: method.lane_arrays(hypothesis) for hypothesis in hypotheses}
    composed = method if isinstance(method, Composed) else None
    parts = {hypothesis.id: composed.latent_parts(hypothesis) for hypothesis in hypotheses if composed}
    return lane_specs(config, shapes, parts, snapshot_steps(config.inversion) if config.inversion.snapshots else ())
