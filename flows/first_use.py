"""What is made once, before the first pair: the descriptor of a generator that ships without one."""

from __future__ import annotations

import os

from flows.progress import Observer
from mgi.config import RunConfig
from tasks.method import FACTORY


def learn_descriptor(config: RunConfig, observer: Observer) -> None:
    """Learn the descriptor that `warp.descriptor_samples` asks for, if it is not there yet; with progress.

    It is learnt here and not by a worker, so that the user sees it; a worker on another machine, which does not see the
    file, learns its own.

    Raises:
        mgi.weights.WeightsError, mgi.generators.GeneratorError: the generator cannot be loaded.
        mgi.training.TrainingError: it has no features to learn.
    """
    if not config.warp.descriptor_samples or FACTORY in os.environ:
        return
    from mgi.devices import best_device
    from mgi.translators.descriptors import to_learn
    from mgi.translators.learning import learn

    if not to_learn(config):
        return
    samples = config.warp.descriptor_samples
    observer.say(f"note: learning a descriptor of {config.generator} from {samples} of its samples, once for all runs")
    phases: set[str] = set()

    def progress(phase: str, done: int, total: int, text: str) -> None:
        if phase not in phases:
            phases.add(phase)
            observer.begin(phase, "steps" if phase == "network" else "samples", total, 0)
        observer.beat(phase, "descriptor", float(done))

    learn(config, best_device(), progress)
