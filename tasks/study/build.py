"""A study from the rows of an evaluation: random sets, pictures without names, and the key that names them.

STUDY/study.json    sets, options and questions, as the page sees them
STUDY/key.json      which option is which method; never served
STUDY/pictures/     JPEG, named by random letters
STUDY/votes.sqlite  the votes, once somebody votes
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from mgi.config import ConfigError
from storage.atomic import write_bytes, write_text
from tasks.stages.select import final_path
from tasks.suites.figures import shared_pairs
from tasks.unit import Job, OpenRun, picture

STUDY, KEY, PICTURES = "study.json", "key.json", "pictures"
SIDE = 640
"""Longest side of pictures, in pixels."""
ATTENTION = "attention"
"""The key of the right option of a check; the others are `decoy`."""
DECOY, MOSAIC = "decoy", 8
"""Wrong options of a check: pictures of 8 x 8 squares."""
EVERY = 7
"""One check per so many sets."""
QUESTIONS = (
    ("quality", "Which image has the better quality?"),
    ("details", "Which image keeps the details of the source (its shape) and of the target (its style)?"),
)
"""The two questions of both papers."""


@dataclass(frozen=True)
class Built:
    """What was made: counts of sets and checks, and the methods."""

    folder: str
    sets: int
    checks: int
    methods: tuple[str, ...]


def build_study(
    runs: Mapping[str, str], folder: str, sets: int, seed: int = 0, title: str = "Which image is better?"
) -> Built:
    """Make a study.

    Args:
        runs: {method: folder of its run}.
        folder: of the study; it may not hold one, since votes belong to their sets.
        sets: pairs that are shown, drawn at random from those that every method has done.
        seed: decides which.
        title: on the page.

    Raises:
        ConfigError: fewer than two methods, too few pairs, or a study that is there already.
    """
    place = Path(folder)
    if (place / STUDY).exists():
        raise ConfigError(f"{folder} holds a study already; choose another folder, votes belong to their sets")
    if len(runs) < 2:
        raise ConfigError(f"a study compares at least two methods, found {', '.join(runs) or 'none'}")
    opened = {name: Job.of_folder(run).open() for name, run in runs.items()}
    known = shared_pairs(opened)
    if len(known) < sets:
        raise ConfigError(f"--sets {sets}: only {len(known)} pairs are done by all of {', '.join(runs)}; use fewer")
    chance = random.Random(seed)
    maker = _Maker(place, chance)
    chosen = chance.sample(known, sets)
    shown = [maker.make(f"s{number:02d}", opened, pair) for number, pair in enumerate(chosen, 1)]
    checks = max(1, sets // EVERY)
    shown += [
        maker.make(f"c{number:02d}", opened, pair, check=True)
        for number, pair in enumerate(chance.sample(chosen, checks), 1)
    ]
    questions = [{"id": name, "text": text} for name, text in QUESTIONS]
    write_text(place / KEY, json.dumps(maker.key, indent=1))
    write_text(place / STUDY, json.dumps({"title": title, "questions": questions, "sets": shown}, indent=1))
    return Built(folder, sets, checks, tuple(runs))


class _Maker:
    def __init__(self, place: Path, chance: random.Random) -> None:
        self._place, self._chance = place, chance
        self.key: dict[str, str] = {}

    def make(self, name: str, runs: Mapping[str, OpenRun], pair_id: str, check: bool = False) -> dict[str, Any]:
        """A set as the page sees it; a check shows one picture whole and the others as squares."""
        first = next(iter(runs.values()))
        sides = {"source": "source"} if first.config.task == "invert" else {"source": "source", "target": "exemplar"}
        found: dict[str, Any] = {"id": name}
        for side, stored in sides.items():
            found[side] = self._keep(Image.fromarray(picture(first.store, pair_id, stored)))
        right, options = self._chance.choice(list(runs)), []
        for method, run in runs.items():
            with Image.open(final_path(run.store.path, pair_id)) as image:
                shown = image.convert("RGB")
            if check and method != right:
                shown = shown.resize((MOSAIC, MOSAIC), Image.Resampling.BOX).resize(
                    shown.size, Image.Resampling.NEAREST
                )
            option = self._letters()
            self.key[option] = method if not check else (ATTENTION if method == right else DECOY)
            options.append({"id": option, "picture": self._keep(shown)})
        self._chance.shuffle(options)
        return {**found, "options": options}

    def _keep(self, image: Image.Image) -> str:
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        buffer, name = io.BytesIO(), f"{self._letters()}.jpg"
        image.save(buffer, "JPEG", quality=92)  # without the PNG's texts, which name the pair and the method
        write_bytes(self._place / PICTURES / name, buffer.getvalue())
        return name

    def _letters(self) -> str:
        return "".join(self._chance.choices("abcdefghijkmnpqrstuvwxyz23456789", k=10))


def read_study(folder: str) -> dict[str, Any]:
    """`study.json`.

    Raises:
        ConfigError: there is no study in that folder.
    """
    path = Path(folder) / STUDY
    if not path.is_file():
        raise ConfigError(f"{folder}: expected a study, found no {STUDY}; make one with `mgi study build`")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
