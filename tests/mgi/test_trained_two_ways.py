"""Trained translators of two sides as methods: backwards, and with a style of the exemplar or of chance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_systems import SIZE, small

from mgi.config import RunConfig
from mgi.images import to_float, to_uint8
from mgi.systems.base import Guide
from mgi.systems.conditions import edges
from mgi.systems.files import TranslatorFacts, read_system, write_system
from mgi.systems.registry import system_of
from mgi.systems.trainer import started
from mgi.translators.trained import TrainedTranslator

DRAW = np.random.default_rng(0)
SOURCE, EXEMPLAR = DRAW.integers(0, 256, (2, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A MUNIT of edges and pictures that has learnt nothing."""
    config, file = small("munit"), tmp_path / "translator.safetensors"
    facts = TranslatorFacts("munit", config.model_dump(mode="json"), "edges", 1, 1, 0.5, "nothing", "CC0")
    write_system(file, started(system_of("munit"), config), facts)
    return file


def translated(model: Path, seed: int = 0, **options: Any) -> np.ndarray:
    config = RunConfig(translator="munit", upsampling=1, options={"model": str(model), **options})
    return TrainedTranslator(config, "cpu").translate(SOURCE, EXEMPLAR, seed).image


def by_hand(model: Path, source: np.ndarray, guide: Guide, seed: int = 0) -> np.ndarray:
    system, _ = read_system(model)
    with torch.no_grad():
        made = system.translate(to_float(source), guide, torch.Generator().manual_seed(seed))
    return to_uint8(made.clamp(-1, 1))[0]


def test_forwards_the_exemplar_gives_the_style(model: Path) -> None:
    picture, condition = to_float(EXEMPLAR), to_float(edges(EXEMPLAR))
    assert np.array_equal(translated(model), by_hand(model, edges(SOURCE), Guide(picture, condition)))
    given = translated(model, source="condition")
    assert np.array_equal(given, by_hand(model, SOURCE, Guide(picture, condition)))


def test_backwards_the_source_is_as_it_is_and_the_style_is_of_edges(model: Path) -> None:
    guide = Guide(to_float(EXEMPLAR), to_float(edges(EXEMPLAR)), backwards=True)
    assert np.array_equal(translated(model, backwards=True), by_hand(model, SOURCE, guide))


def test_a_style_of_chance_is_drawn_by_the_seed(model: Path) -> None:
    one, again, other = (translated(model, seed, guide="latent") for seed in (1, 1, 2))
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    assert np.array_equal(one, by_hand(model, edges(SOURCE), Guide(latent=True), seed=1))
