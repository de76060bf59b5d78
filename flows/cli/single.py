"""`mgi translate A B --out RESULT.png` and `mgi invert A --out RESULT.png`: pictures, no run."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.cli.common import Answer, err, out, require_writable, say
from mgi.config import ConfigError

if TYPE_CHECKING:
    from flows.progress import Observer
    from mgi.single import Made

GENERATED = "generated image, made by mgi"
"""In the metadata of every result."""


def is_single(pictures: list[Path], result: str) -> bool:
    """Whether single pictures are asked for, and not a run.

    Raises:
        ConfigError: `result` does not fit: a run needs a folder, pictures need the name of one.
    """
    from storage.images import FORMATS

    named = Path(result).suffix.lower() in FORMATS
    given = " and ".join(map(str, pictures))
    if all(picture.is_file() and picture.suffix.lower() != ".csv" for picture in pictures):
        if not named:
            raise ConfigError(f"--out {result}: expected a picture such as result.png for {given}; or give folders")
        if any(picture.resolve() == Path(result).resolve() for picture in pictures):
            raise ConfigError(f"--out {result} would replace a picture that it is made from; name another")
        require_writable(Path(result).absolute().parent, f"--out {result}")
        return True
    if named and all(picture.is_dir() for picture in pictures):
        raise ConfigError(f"--out {result}: expected a folder for the run of {given}, found the name of a picture")
    if named:
        wrong = next(picture for picture in pictures if not picture.is_file() or picture.suffix.lower() == ".csv")
        found = "is no picture" if wrong.exists() else "does not exist"
        raise ConfigError(f"{wrong} {found}; --out {result} is a picture, which is made of pictures")
    return False


def result_of(images: Path, result: str | None) -> str:
    """Where the result of `images` goes: as asked, and of one picture else beside where the user is.

    Raises:
        ConfigError: a folder, whose run needs one of its own.
    """
    if result is not None:
        return result
    if images.is_file():
        return f"{images.stem}-inverted.png"
    raise ConfigError("--out is missing: expected the folder of the run, or the name of a picture if IMAGES is one")


def refuse(asked: dict[str, Any], idle: dict[str, Any]) -> None:
    """Options that only runs have.

    Args:
        asked: {option: value} of those that would make something else.
        idle: {option: value} of those that change nothing here; a note says so. The environment may set them for runs.

    Raises:
        ConfigError: one of the first is set.
    """
    for option, value in asked.items():
        if value:
            raise ConfigError(f"{option} belongs to runs of folders; drop it, or give folders")
    without = [option for option, value in idle.items() if value not in (None, False)]
    if without:
        say(f"note: {', '.join(without)}: of runs of folders, without effect on single pictures")


def write_single(
    task: str, pictures: list[Path], result: str, profile: str, seed: int, overrides: dict[str, Any]
) -> Answer:
    """Make one picture and write it.

    Raises:
        storage.images.BadImage: a picture that cannot be used.
        And what `mgi.translate` and `mgi.invert` raise.
    """
    import mgi
    from flows.progress import show_progress
    from mgi.single import phases
    from storage.images import read_image, write_picture

    began, read = time.monotonic(), [read_image(picture) for picture in pictures]
    asked: dict[str, Any] = {"profile": profile, "settings": overrides}
    call: Callable[..., Made] = mgi.translate if task == "translate" else mgi.invert
    with show_progress(err) as observer:
        for picture, found in zip(pictures, read, strict=True):
            for note in found.notes:
                observer.say(f"note: {picture}: {note}")
        bar = _Phases(observer, task, phases(task, **asked))
        made = call(*(found.pixels for found in read), seed=seed, progress=bar, **asked)
        bar.end()
    write_picture(result, made.array, {"mgi": GENERATED, **{f"mgi:{key}": str(v) for key, v in made.info.items()}})
    width, height = made.image.size
    by = f", {made.info['hypothesis']} chosen by {made.info['rule']}" if "hypothesis" in made.info else ""
    out.print(result, markup=False)
    seconds = time.monotonic() - began
    say(f"{width} x {height}{by}, {seconds:.0f} s")
    return Answer({"result": result, "width": width, "height": height, "seconds": seconds, "made": made.info})


class _Phases:
    """A bar over phases that each count their steps from the start."""

    def __init__(self, observer: Observer, task: str, total: int) -> None:
        self._observer, self._task, self._total, self._done, self._last = observer, task, total, 0, 0
        observer.begin(task, "phases", total, 0)

    def __call__(self, step: int, steps: int, loss: float) -> None:
        if step < self._last:
            self._close()
        self._last = step
        self._observer.beat(self._task, str(self._done), step / max(1, steps), loss)

    def end(self) -> None:
        """All of it is done."""
        while self._done < self._total:
            self._close()

    def _close(self) -> None:
        self._observer.finish(self._task, str(self._done), None)
        self._done += 1
