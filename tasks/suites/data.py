"""The pictures of a suite: the user's folders, or samples of a generator, drawn once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mgi.config import ConfigError
from tasks.suites.suite import REFERENCES, Suite

FOLDER = "data"


def with_data(suite: Suite, out: str, say: Callable[[str], None]) -> Suite:
    """The suite with folders that are there; samples of its generator are drawn into `OUT/data/`.

    Raises:
        ConfigError: it names no folders, and the user none either.
    """
    data = suite.data
    sides = REFERENCES if suite.task == "translate" else REFERENCES[:1]
    if data.generator:
        folders = {side: str(Path(out).absolute() / FOLDER / side) for side in sides}
        _draw(data.generator, data.limit or 1, data.seed, folders, say)
        return suite.model_copy(update={"data": data.model_copy(update=folders)})
    for side in sides:
        if not getattr(data, side):
            where = f" ({data.where})" if data.where else ""
            raise ConfigError(f"suite {suite.name}: expected a folder of {side}{where}; give it as --{side} FOLDER")
    return suite


def _draw(generator: str, count: int, seed: int, folders: dict[str, str], say: Callable[[str], None]) -> None:
    """Draw a sample per pair and side, in turn; files that are there stay.

    A longer drawing begins with all of a shorter one, so an evaluation can be given more pairs later.
    """
    paths = [Path(folder) / f"{number:05d}.png" for number in range(count) for folder in folders.values()]
    if all(path.is_file() for path in paths):
        return
    import torch

    from mgi.devices import best_device
    from mgi.images import to_uint8
    from mgi.weights import load_generator
    from storage.images import write_png

    say(f"drawing {sum(not path.is_file() for path in paths)} samples of {generator}")
    network = load_generator(generator, best_device())
    randomness = torch.Generator().manual_seed(seed)
    for number, path in enumerate(paths):
        code = torch.randn(1, network.z_dim, generator=randomness)  # drawn for files that are there, too
        if path.is_file():
            continue
        with torch.no_grad():
            image = network(code.to(best_device())).clamp(-1, 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, to_uint8(image)[0], {"mgi:sample": f"{generator}, seed {seed}, number {number}"})
