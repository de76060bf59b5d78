"""A whole search in one call equals its steps done by hand, and translators are asked only for what they can do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from stub_method import StubMethod

from mgi.config import ConfigError, RunConfig
from mgi.images import to_float, to_uint8
from mgi.pairs import Hypothesis, lane_seed
from mgi.profiles import load_config
from mgi.translators import (
    Edits,
    Inverts,
    Lane,
    ScoreInput,
    Searches,
    Translator,
    TranslatorError,
    Warps,
    load_translator,
)
from mgi.translators.exemplar_warp import ExemplarWarp
from mgi.translators.inversion.translator import InversionTranslator
from mgi.translators.inversion.whole import PAIR, translate_whole
from mgi.translators.style_mix import StyleMix
from mgi.weights import WeightsMissing, path

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"


def noise(count: int, rows: int = 32) -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [draw.integers(0, 256, (rows, rows, 3), dtype=np.uint8) for _ in range(count)]


@pytest.fixture(autouse=True)
def no_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STUB_NAN", "STUB_FAIL", "STUB_RAISE", "STUB_SUICIDE", "STUB_SECONDS"):
        monkeypatch.delenv(name, raising=False)


def stub(**changes: object) -> StubMethod:
    settings = {
        "inversion.hypotheses": ["L04N03", "L05N02", "L06N04"],
        "warp.image_size": 32,
        "inversion.warm_start": 0,
    }
    return StubMethod(load_config("quick", settings | {key.replace("__", "."): v for key, v in changes.items()}))


def by_hand(
    translator: Searches, seen: np.ndarray, exemplar: np.ndarray, seed: int
) -> tuple[str, np.ndarray, dict[str, float]]:
    """(chosen id, image, measures) by the protocol's steps."""
    kept: dict[str, Any] = {}
    for group in translator.groups:
        lanes = [Lane(PAIR, seen, h, lane_seed(seed, PAIR, h.id), observation_seed=seed) for h in group]
        for hypothesis, result in zip(group, translator.invert(lanes), strict=True):
            kept[hypothesis.id] = result
    reference, table = translator.reference_features(seen, exemplar), []
    for name, result in kept.items():
        item = ScoreInput(Hypothesis.parse(name), result.arrays["features"], result.measures, reference)
        table.append({"hypothesis": name, **result.measures, **translator.score([item])[0]})
    chosen = translator.select(table)["hypothesis"]
    image = translator.render(kept[chosen].arrays, Hypothesis.parse(chosen), seen=seen)
    return chosen, image, kept[chosen].measures


# The stub


def test_the_whole_search_is_its_steps() -> None:
    source, exemplar = noise(2)
    choices = set()
    for seed in range(6):
        found = stub().translate(source, exemplar, seed)
        warp = stub().warp(source, exemplar).warp
        chosen, image, measures = by_hand(stub(), warp, exemplar, seed)
        assert (found.info["hypothesis"], found.info["rule"]) == (chosen, "spatial-fd")
        np.testing.assert_array_equal(found.image, image)
        np.testing.assert_array_equal(found.warp, warp)
        assert found.measures == measures and {"latents", "features", "loss"} <= found.arrays.keys()
        choices.add(chosen)
    assert len(choices) > 1  # the seed decides


def test_groups_are_inverted_together_and_failed_lanes_are_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    source, exemplar = noise(2)
    first = stub().translate(source, exemplar, 1).info["hypothesis"]
    monkeypatch.setenv("STUB_NAN", str(first))
    assert stub().translate(source, exemplar, 1).info["hypothesis"] != first
    together = stub(inversion__rungs=["20:2"], inversion__steps=40)
    assert len(together.groups) == 1
    assert together.translate(source, exemplar, 1).info == stub().translate(source, exemplar, 1).info
    monkeypatch.setenv("STUB_NAN", "L04N03,L05N02,L06N04")
    with pytest.raises(TranslatorError, match=r"every hypothesis failed \(L04N03: the loss became NaN .*; L05N02: "):
        stub().translate(source, exemplar, 1)


def test_the_rule_of_sets_takes_the_pair_for_the_set() -> None:
    source, exemplar = noise(2)
    found = stub(selection__rule="set-fid").translate(source, exemplar, 1)
    assert (found.info["hypothesis"], found.info["rule"]) == ("L04N03", "set-fid")


@pytest.mark.parametrize(
    ("task", "degradation", "observed", "whole"),
    [
        ("invert", "rain", "simulated", True),
        ("invert", "gray", "given", False),
        ("invert", "none", "simulated", False),
        ("translate", "rain", "simulated", False),
    ],
)
def test_lanes_know_what_was_observed(
    monkeypatch: pytest.MonkeyPatch, task: str, degradation: str, observed: str, whole: bool
) -> None:
    """The seed that drew the rain, and the whole picture if the rain was ours."""
    (picture,), lanes, seeds = noise(1), [], []
    translator = stub(task=task, inversion__degradation=degradation, inversion__observed=observed)
    invert, observe = translator.invert, translator.observe
    monkeypatch.setattr(translator, "invert", lambda asked, progress=None: lanes.extend(asked) or invert(asked))
    monkeypatch.setattr(translator, "observe", lambda image, seed: seeds.append(seed) or observe(image, seed))
    translator.reconstruct(picture, seed=5)
    assert len(lanes) == 3 and {lane.observation_seed for lane in lanes} == set(seeds)
    assert all(lane.truth is picture if whole else lane.truth is None for lane in lanes)
    assert len({lane.seed for lane in lanes}) == 3


def test_progress_reaches_the_lanes() -> None:
    source, exemplar = noise(2)
    seen: list[tuple[int, int, float]] = []
    translator = stub()
    translate_whole(translator, translator.warp(source, exemplar), exemplar, 0, lambda *step: seen.append(step))
    assert len(seen) == 15 and seen[-1][:2] == (5, 5)


# Capabilities


def capabilities(translator: object) -> set[str]:
    return {p.__name__ for p in (Translator, Warps, Inverts, Searches, Edits) if isinstance(translator, p)}


@pytest.fixture(scope="module")
def tiny() -> InversionTranslator:
    """The golden PGGAN of 32 x 32 images under the real VGG."""
    return InversionTranslator(tiny_config(), "cpu")


def tiny_config(**changes: object) -> RunConfig:
    try:
        path("vgg16-imagenet")
    except WeightsMissing as error:
        pytest.skip(str(error))
    settings = {
        "task": "invert",
        "generator": str(GOLDEN / "pggan_mganprior.pth"),
        "warp.image_size": 32,
        "inversion.hypotheses": ["L03N04"],
        "inversion.steps": 1,
        "inversion.warm_start": 0,
        "selection.layer": "relu2_2",
        "selection.domain_samples": 16,
    }
    return load_config("quick", settings | {key.replace("__", "."): value for key, value in changes.items()})


def test_who_can_do_what(tiny: InversionTranslator) -> None:
    assert capabilities(tiny) == {"Translator", "Warps", "Inverts", "Searches", "Edits"}
    assert capabilities(ExemplarWarp(load_config("quick"), "cpu")) == {"Translator", "Warps"}
    assert capabilities(stub()) == {"Translator", "Warps", "Inverts", "Searches", "Edits"}
    assert capabilities(object()) == set()


@pytest.mark.parametrize(
    ("translator", "name"), [(InversionTranslator, "mgi"), (ExemplarWarp, "exemplar-warp"), (StyleMix, "style-mix")]
)
def test_no_option_is_ignored(translator: Callable[[RunConfig, str], object], name: str) -> None:
    """`mgi invert PICTURES --refine 15` is for methods with an encoder; the others say so."""
    config = load_config("quick", {"options.refine": 15})
    with pytest.raises(ConfigError, match=rf"^options\.refine: {name} knows no options; remove it$"):
        translator(config, "cpu")


# The inversion family


def test_no_setting_of_a_method_changes_how_it_is_measured(tiny: InversionTranslator) -> None:
    """The start of a lane has the same `l2` and `vgg`, whatever the method optimises."""
    picture = np.asarray(Image.fromarray(noise(1, 8)[0]).resize((32, 32)))
    lane = Lane(PAIR, picture, Hypothesis(3, 4), 7)
    changes: list[dict[str, object]] = [
        {},
        {"inversion.perceptual_size": 256, "inversion.perceptual_resize": "nearest"},
        {"inversion.perceptual_norm": "mse", "inversion.perceptual_layers": ["relu1_1"]},
        {"inversion.perceptual_weight": 0.0, "inversion.pixel_range": "unit", "inversion.pixel_weight": 9.0},
    ]
    starts = []
    for change in changes:
        config = tiny_config(**{key.replace(".", "__"): value for key, value in change.items()})
        (result,) = tiny.with_config(config).invert([lane])
        starts.append((result.measures["l2_before"], result.measures["vgg_before"]))
    assert len(set(starts)) == 1


def test_a_degraded_picture_is_inverted_through_its_own_mask(tiny: InversionTranslator) -> None:
    translator = InversionTranslator(tiny_config(inversion__degradation="rain"), "cpu")
    picture, lanes = np.asarray(Image.fromarray(noise(1, 8)[0]).resize((32, 32))), []
    invert = translator.invert
    translator.invert = lambda asked, progress=None: lanes.extend(asked) or invert(asked)  # type: ignore[method-assign]
    found = translator.reconstruct(picture, seed=3)
    (lane,) = lanes
    through = translator.engine.compare.observer([lane.observation_seed])(to_float(picture))
    np.testing.assert_array_equal(to_uint8(through)[0], lane.warp)
    assert not np.array_equal(lane.warp, picture)
    assert np.isfinite(found.measures["true_psnr"])  # the rain was ours, so the truth is known


@pytest.mark.slow
def test_the_quick_profile_in_one_call_is_its_steps() -> None:
    try:
        path("vgg16-imagenet")
    except WeightsMissing as error:
        pytest.skip(str(error))
    config = load_config("quick", {"inversion.steps": 2, "inversion.warm_start": 1})
    translator = load_translator(config, "cpu")
    assert isinstance(translator, Searches)
    names = ("sources/generated-a.jpg", "exemplars/kaokore-00007733.jpg")
    source, exemplar = (
        np.asarray(Image.open(ROOT / "examples" / name).convert("RGB").resize((128, 128))) for name in names
    )
    found = translator.translate(source, exemplar, seed=4)
    seen = translator.warp(source, exemplar, seed=4).warp
    chosen, image, measures = by_hand(translator, seen, exemplar, 4)
    assert found.info["hypothesis"] == chosen
    np.testing.assert_array_equal(found.image, image)
    np.testing.assert_array_equal(found.warp, seen)
    assert {**found.measures, "seconds": 0} == {**measures, "seconds": 0}
