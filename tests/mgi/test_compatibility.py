"""Settings that cannot work together are found before anything is computed, and no others are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from standins import standin

from mgi.config import ConfigError, RunConfig
from mgi.features.facts import known_layers, layer_rows
from mgi.features.inception import InceptionFID
from mgi.generators import load_file
from mgi.profiles import load_config
from mgi.translators.inversion.compatibility import GeneratorFacts, facts_of, problems, require_compatible
from mgi.translators.inversion.generator import prepared_generator

TESTS = Path(__file__).parents[1]

STYLED = GeneratorFacts("styled", 1024, 18, styles=True, noise=True, bf16=False)
PLAIN = GeneratorFacts("plain", 64, 10, styles=False, noise=False, bf16=True)
TINY = GeneratorFacts("tiny", 32, 8, styles=False, noise=False, bf16=True)


def found(facts: GeneratorFacts | None, profile: str = "quick", method: str | None = None, **settings: object) -> str:
    changed = {key.replace("__", "."): value for key, value in settings.items()}
    return "\n".join(problems(load_config(profile, changed, method), facts))


@pytest.mark.parametrize("profile", ["quick", "embedded", "paper-celebahq", "paper-ffhq"])
def test_the_profiles_have_no_problem(profile: str) -> None:
    facts = PLAIN if profile == "quick" else STYLED
    for method in ("plain", "oeft"):
        assert found(facts, profile, warp__method=method) == ""


@pytest.mark.parametrize(
    ("facts", "settings", "expected"),
    [
        (PLAIN, {"inversion__hypotheses": ["L11N10", "L04N08"]}, "L11N10 does not fit plain"),
        (STYLED, {"warp__image_size": 256, "inversion__precision": "bf16"}, "styled computes in fp32 only"),
        (PLAIN, {"inversion__space": "w"}, "plain has no latent space w"),
        (PLAIN, {"inversion__noise": "fresh"}, "plain has no noise"),
        (PLAIN, {"warp__image_size": 96}, "warp.image_size = 96 neither divides"),
        (PLAIN, {"inversion__perceptual_size": 48}, "perceptual_size = 48 does not divide the 64 rows"),
        (TINY, {}, "relu3_3 of vgg16-imagenet has 8x8 locations on images of 32x32 pixels"),
        (TINY, {}, "use relu2_2 or a shallower layer"),
        (PLAIN, {"selection__layer": "relu3_4"}, "selection.layer: vgg16-imagenet has no layer relu3_4"),
        (PLAIN, {"selection__backbone": "inception-fid", "selection__layer": "pool3"}, "spatial-fd compares locations"),
        (PLAIN, {"selection__backbone": "inception-fid", "selection__layer": "mixed_7c"}, "has 8x8 locations"),
        (PLAIN, {"inversion__perceptual_layers": ["relu9_1"]}, "has no layer relu9_1"),
        (PLAIN, {"inversion__degradation": "down16", "warp__image_size": 64}, "64 rows cannot be reduced by 16"),
        (PLAIN, {"warp__layers": ["relu3_4"]}, "warp.layers: vgg16-imagenet has no layer relu3_4"),
        (PLAIN, {"warp__feature_size": 48}, "warp.colours = full needs a warp.feature_size that divides"),
        (PLAIN, {"warp__method": "oeft", "oeft__train_from": "conv5_4"}, "conv5_4 leaves nothing to fine-tune"),
        (PLAIN, {"warp__method": "oeft", "warp__layers": ["relu3_3"]}, "conv4_1 leaves nothing to fine-tune"),
        (PLAIN, {"warp__method": "oeft", "oeft__context_layers": ["relu9_1"]}, "oeft.context_layers"),
        (PLAIN, {"inversion__space": "z"}, "warm_start does nothing in space z"),
    ],
)
def test_each_clash_is_one_line(facts: GeneratorFacts, settings: dict[str, object], expected: str) -> None:
    assert expected in found(facts, **settings)
    assert all(len(line) > 20 for line in found(facts, **settings).splitlines())


def test_rungs_need_locations_or_the_loss() -> None:
    pooled = {"selection__rule": "set-fid", "inversion__rungs": ["10:1"]}
    assert "rank_by to loss" in found(STYLED, "paper-ffhq", **pooled)
    assert found(STYLED, "paper-ffhq", **pooled, inversion__rank_by="loss") == ""


def test_what_is_not_used_is_no_problem() -> None:
    assert found(PLAIN, oeft__train_from="conv9_9", oeft__context_layers=["relu9_1"]) == ""
    assert found(PLAIN, task="invert", warp__layers=["relu9_1"]) == ""
    assert found(PLAIN, inversion__perceptual_weight=0.0, inversion__perceptual_layers=["relu9_1"]) == ""
    assert found(PLAIN, inversion__perceptual_resize="nearest", inversion__perceptual_size=48) == ""


def test_without_the_generator_the_rest_is_said() -> None:
    assert found(None, inversion__space="w", warp__layers=["relu9_1"]).startswith("warp.layers")


def test_a_method_of_styles_is_refused_with_everything_else_before_any_network_but_the_generator() -> None:
    settings = {"generator": str(TESTS / "golden" / "pggan_mganprior.pth"), "warp.layers": ["relu9_1"]}
    config = load_config("quick", settings, "image2stylegan")
    with pytest.raises(ConfigError) as error:
        prepared_generator(config, "cpu")
    text = str(error.value)
    assert "3 things cannot work together" in text and "\n" not in text
    for part in ("no latent space w+ (inversion.method image2stylegan)", "8x8 locations", "warp.layers"):
        assert part in text


def test_the_facts_of_a_generator() -> None:
    pggan = facts_of(load_file(TESTS / "golden" / "pggan_mganprior.pth"), "p")
    assert pggan == GeneratorFacts("p", 32, 8, styles=False, noise=False, bf16=True)
    stylegan = facts_of(load_file(TESTS / "golden" / "stylegan2_genforce.pth"), "s")
    assert stylegan.styles and stylegan.noise and not stylegan.bf16
    require_compatible(RunConfig.model_validate({"inversion": {"hypotheses": ["L04N10"]}}), STYLED)


@pytest.mark.parametrize("name", ["vgg19-imagenet", "inception-fid"])
def test_the_table_of_layers_is_the_networks_own(name: str) -> None:
    with safe_open(standin(name), "pt") as file:
        keys = list(file.keys())
        if name == "vgg19-imagenet":
            convolutions = {key.removesuffix(".weight") for key in keys if key.endswith("weight")}
            assert {layer.replace("relu", "conv") for layer in known_layers(name)} == convolutions
            return
        network = InceptionFID({key: file.get_tensor(key) for key in keys})
    assert network.layers[-1] == "logits"  # what the Inception score reads; nothing is selected by classes
    features = network(torch.zeros(1, 3, 64, 64), network.layers[:-1])
    assert {layer: feature.shape[-1] for layer, feature in features.items()} == {
        layer: layer_rows(name, layer, 64) for layer in known_layers(name)
    }
