"""Style mixing as a start, as a fallback and as a method, on a tiny generator with real features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny_mobile import tiny_mobile_state

from mgi.config import ConfigError, RunConfig
from mgi.images import to_uint8
from mgi.pairs import Hypothesis
from mgi.profiles import load_config
from mgi.translators import load_translator
from mgi.translators.base import Lane, Searches
from mgi.translators.inversion import mixing
from mgi.translators.inversion.mixing import Mixer
from mgi.translators.inversion.translator import InversionTranslator
from mgi.translators.style_mix import StyleMix
from mgi.weights import WeightsMissing, path


@pytest.fixture
def translator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InversionTranslator:
    try:
        path("vgg16-imagenet")
    except WeightsMissing as error:
        pytest.skip(str(error))
    save_file(tiny_mobile_state(), tmp_path / "tiny.safetensors")
    monkeypatch.setattr(mixing, "user_cache_path", lambda name: tmp_path / "cache")
    changes = {
        "generator": str(tmp_path / "tiny.safetensors"),
        "warp.image_size": 64,
        "warp.feature_size": 16,
        "warp.matching": "dual",
        "inversion.hypotheses": ["L04N02", "L05N03"],
        "inversion.steps": 3,
        "inversion.warm_start": 0,
        "inversion.pair_start": "style-mix",
        "inversion.mix_rows": 32,
        "inversion.confidence_weight": 0.8,
        "selection.layer": "relu2_2",
        "selection.domain_samples": 16,
    }
    found = load_translator(load_config("quick", changes), "cpu")
    assert isinstance(found, InversionTranslator)
    return found


def pictures(count: int) -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [draw.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(count)]


def test_a_picture_is_inverted_once(translator: InversionTranslator, monkeypatch: pytest.MonkeyPatch) -> None:
    source, exemplar = pictures(2)
    mixer = Mixer(translator.engine)
    first = mixer.mixed(source, exemplar)
    monkeypatch.setattr(Mixer, "_invert", lambda *arguments: pytest.fail("inverted again"))
    again = Mixer(translator.engine).mixed(source, exemplar)
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_damaged_entry_of_the_cache_is_made_again(translator: InversionTranslator) -> None:
    (picture,), mixer = pictures(1), Mixer(translator.engine)
    first = mixer.latents(picture)
    file = mixer._path(picture)
    file.write_bytes(file.read_bytes()[:50])
    again = mixer.latents(picture)
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_mix_has_the_source_s_codes_and_the_exemplar_s_fine_styles(translator: InversionTranslator) -> None:
    source, exemplar = pictures(2)
    mixer = Mixer(translator.engine)
    of_source, of_exemplar, mixed = (*map(mixer.latents, (source, exemplar)), mixer.mixed(source, exemplar))
    fine = mixer.fine_styles()
    assert 0 < fine < len(mixed["tail"])
    assert torch.equal(mixed["codes"], of_source["codes"])
    assert torch.equal(mixed["tail"][:-fine], of_source["tail"][:-fine])
    assert torch.equal(mixed["tail"][-fine:], of_exemplar["tail"][-fine:])


def test_lanes_start_from_the_mix_and_every_option_reaches_the_result(translator: InversionTranslator) -> None:
    assert isinstance(translator, Searches)
    source, exemplar = pictures(2)
    warped = translator.warp(source, exemplar)
    hypothesis = Hypothesis(4, 2)
    whole = Lane("p", warped.warp, hypothesis, 1, confidence=warped.arrays["confidence"], pair=(source, exemplar))
    mixed, trusting, drawn = (
        translator.invert([lane])[0].arrays["latents"]
        for lane in (
            whole,
            Lane("p", warped.warp, hypothesis, 1, pair=(source, exemplar)),
            Lane("p", warped.warp, hypothesis, 1),
        )
    )
    assert not np.array_equal(mixed, trusting) and not np.array_equal(trusting, drawn)
    filled = (
        translator.with_config(load_config_like(translator.config, fallback=True)).invert([whole])[0].arrays["latents"]
    )
    assert not np.array_equal(filled, mixed)
    raised = load_config_like(translator.config, target_detail=2.0)
    assert not np.array_equal(translator.with_config(raised).invert([whole])[0].arrays["latents"], mixed)
    # what is inverted as it is has the detail that it has
    as_it_is = [
        translator.with_config(config.model_copy(update={"task": "invert"})).invert([whole])[0].arrays["latents"]
        for config in (raised, translator.config)
    ]
    assert np.array_equal(*as_it_is)
    result = translator.translate(source, exemplar)
    assert result.image.shape == (64, 64, 3) and result.info["matched_share"] == warped.info["matched_share"]


def load_config_like(config: RunConfig, **changes: object) -> RunConfig:
    inversion = config.inversion.model_copy(update=changes)
    return config.model_copy(update={"inversion": inversion})


def test_style_mix_is_a_method_of_its_own(translator: InversionTranslator) -> None:
    source, exemplar = pictures(2)
    method = StyleMix(translator.config, "cpu")
    found = method.translate(source, exemplar)
    mixer = Mixer(translator.engine)
    expected = mixer.image(mixer.mixed(source, exemplar))
    np.testing.assert_array_equal(found.image, to_uint8(expected)[0])
    other = method.translate(source, source)
    assert not np.array_equal(other.image, found.image) and found.warp is None


def test_style_mixing_needs_styles(translator: InversionTranslator) -> None:
    plain = load_translator(load_config("quick", {"generator": "kaokore"}), "cpu")
    assert isinstance(plain, InversionTranslator)
    with pytest.raises(ConfigError, match="needs a generator with styles"):
        Mixer(plain.engine)
