"""Descriptors: learnt from samples, written, read and refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tiny import tiny_pggan, tiny_stylegan2
from tiny_mobile import tiny_mobile_state
from torch import Tensor

from mgi.config import RunConfig, Warp
from mgi.correspondence.warping import warp_pair
from mgi.features import FeatureError
from mgi.features.descriptor import (
    Descriptor,
    DescriptorFacts,
    DescriptorHead,
    read_descriptor,
    read_facts,
    unit_pyramid,
    write_descriptor,
)
from mgi.generators.mobile_stylegan import MobileStyleGAN
from mgi.training import TrainingError
from mgi.training.descriptor_card import descriptor_card
from mgi.training.descriptor_samples import READ_LAYERS, Samples, Variation, feature_layers, oracle, unit_layers
from mgi.training.descriptors import DescriptorConfig, train_descriptor

SMALL = DescriptorConfig(
    samples=120, calibration=12, steps=120, batch=8, outputs=12, inner=20, width=16, buffer=60, held_out=8
)


class Shapes:
    """A feature network of fixed random filters: four layers of 8 channels."""

    name, unit = "vgg16-imagenet", 1.0
    layers = READ_LAYERS

    def __init__(self) -> None:
        random = torch.Generator().manual_seed(0)
        self._filters = [torch.randn(8, 3, 5, 5, generator=random) for _ in READ_LAYERS]

    def channels(self, layer: str) -> int:
        return 8

    def __call__(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        small = F.avg_pool2d(images, 4)
        found = {}
        for index, layer in enumerate(READ_LAYERS):
            found[layer] = F.relu(F.conv2d(F.avg_pool2d(small, 1 << min(index, 2)), self._filters[index], padding=2))
        return {layer: found[layer] for layer in layers}


@pytest.fixture(scope="module")
def generator() -> MobileStyleGAN:
    return MobileStyleGAN(tiny_mobile_state())


@pytest.fixture(scope="module")
def learnt(generator: MobileStyleGAN) -> tuple[DescriptorHead, DescriptorFacts]:
    return train_descriptor(generator, Shapes(), ("tiny", "0" * 64), SMALL)


def test_it_explains_pictures_that_it_never_saw(learnt: tuple[DescriptorHead, DescriptorFacts]) -> None:
    facts = learnt[1]
    assert facts.explained > facts.card["explained_linear"] > 0.1
    assert facts.generator_layers == (5, 7) and facts.card["samples"] == 120
    assert f"{facts.explained:.1%}" in descriptor_card(facts)


def test_a_training_gives_the_same_file_again(
    generator: MobileStyleGAN, learnt: tuple[DescriptorHead, DescriptorFacts], tmp_path: Path
) -> None:
    again, facts = train_descriptor(generator, Shapes(), ("tiny", "0" * 64), SMALL)
    write_descriptor(tmp_path / "a.safetensors", *learnt)
    write_descriptor(tmp_path / "b.safetensors", again, replace(facts, card=learnt[1].card))
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_the_file_says_what_the_head_says(learnt: tuple[DescriptorHead, DescriptorFacts], tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    write_descriptor(path, *learnt)
    descriptor = read_descriptor(path, Shapes())
    assert descriptor.facts == learnt[1] and read_facts(path) == learnt[1]
    images = torch.rand(1, 3, 256, 256) * 2 - 1
    found = descriptor(images)["generator"]
    expected = learnt[0](unit_pyramid(list(Shapes()(images, READ_LAYERS).values())))
    assert found.shape == (1, descriptor.channels("generator"), 64, 64)
    torch.testing.assert_close(found, expected.detach(), rtol=0.02, atol=0.02 * float(expected.detach().abs().max()))


def test_a_style_mixed_sample_has_the_features_of_its_structure(generator: MobileStyleGAN) -> None:
    varied, plain = Samples(generator, Shapes(), Variation()), Samples(generator, Shapes())
    differ = 0
    for seed in range(12):
        one, two = (s.picture(torch.Generator().manual_seed(seed)) for s in (varied, plain))
        torch.testing.assert_close(one[1], two[1])
        differ += not torch.equal(one[0], two[0])
    assert 3 <= differ <= 11


def test_products_of_features_are_means_over_layers() -> None:
    layers = [torch.randn(1, 6, 64, 64), torch.randn(1, 3, 64, 64)]
    joined = unit_layers(layers)
    torch.testing.assert_close(joined.square().sum(1), torch.ones(1, 64, 64))
    each = []
    for layer in layers:
        deviation, mean = torch.std_mean(layer, dim=(2, 3), keepdim=True)
        unit = F.normalize((layer - mean) / deviation, dim=1)
        each.append((unit[0, :, 3, 4] * unit[0, :, 50, 60]).sum())
    torch.testing.assert_close((joined[0, :, 3, 4] * joined[0, :, 50, 60]).sum(), (each[0] + each[1]) / 2)


def test_the_oracle_is_what_samples_are_learnt_from(generator: MobileStyleGAN) -> None:
    random = torch.Generator().manual_seed(3)
    _, target = Samples(generator, Shapes()).picture(random)
    again = torch.Generator().manual_seed(3)
    z = torch.randn(2, generator.z_dim, generator=again)
    w = generator.truncate(generator.to_w(z), 0.5 + 0.5 * float(torch.rand(2, generator=again)[0]))
    torch.testing.assert_close(oracle(generator, w[:1]), target)


def test_generators_without_styles_and_with_few_rows() -> None:
    pggan = tiny_pggan().float()
    sizes = [pggan.layer_size(layer) for layer in feature_layers(pggan)]
    assert sizes == [16, 32]
    picture, target = Samples(pggan, Shapes(), Variation()).picture(torch.Generator().manual_seed(0))
    assert picture.shape == (1, 3, 256, 256) and target.shape[-2:] == (64, 64)
    with pytest.raises(TrainingError, match=r"16, 32 or 64 rows, found 4, 8; use a larger generator"):
        small = tiny_stylegan2()
        small.layers = 3
        feature_layers(small)


def test_files_that_are_no_descriptors_are_refused(
    learnt: tuple[DescriptorHead, DescriptorFacts], tmp_path: Path
) -> None:
    path = tmp_path / "d.safetensors"
    write_descriptor(path, *learnt)
    facts = asdict(learnt[1])
    tensors = load_file(path)

    def written(tensors: dict[str, Tensor], metadata: dict[str, str]) -> Path:
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.safetensors"
        save_file(tensors, file, metadata)
        return file

    other = Shapes()
    other.name = "vgg19-imagenet"  # type: ignore[misc]
    with pytest.raises(FeatureError, match="reads vgg16-imagenet, found vgg19-imagenet"):
        read_descriptor(path, other)
    (tmp_path / "n.safetensors").write_bytes(b"nonsense")
    for file, reason in (
        (tmp_path / "absent.safetensors", "not a readable descriptor"),
        (tmp_path / "n.safetensors", "not a readable descriptor"),
        (written(tensors, {}), "is not a descriptor"),
        (written(tensors, {"mgi-descriptor": "{}"}), "description is damaged"),
        (written(tensors, {"mgi-descriptor": "[" * 5000}), "description is damaged"),
    ):
        with pytest.raises(FeatureError, match=reason) as error:
            read_facts(file)
        assert "\n" not in str(error.value)
    described = {"mgi-descriptor": json.dumps(facts)}
    del tensors["leave.weight"]
    with pytest.raises(FeatureError, match="expected the tensors of a descriptor"):
        read_descriptor(written(tensors, described), Shapes())


def test_one_pass_of_the_network_serves_both(learnt: tuple[DescriptorHead, DescriptorFacts], tmp_path: Path) -> None:
    network, descriptor = Shapes(), Descriptor(Shapes(), *learnt)
    pictures = [F.avg_pool2d(torch.rand(1, 3, 262, 262) * 2 - 1, 7, 1) for _ in range(2)]
    layers = ("relu2_2", "relu3_3")
    settings = Warp(layers=layers, feature_size=16, matching="dual", window=2, colours="shifted", descriptor="mixed")
    config = RunConfig(warp=settings)
    apart = warp_pair(*pictures, network, config, seed=0, descriptor=descriptor)
    passes: list[int] = []

    class Counted(Shapes):
        def __call__(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
            passes.append(1)
            return super().__call__(images, layers)

    counted = Counted()
    shared = warp_pair(*pictures, counted, config, seed=0, descriptor=Descriptor(counted, *learnt))
    assert torch.equal(shared.warp, apart.warp) and len(passes) == 2
