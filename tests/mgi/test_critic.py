"""Critics: learnt from pairs whose better one is known, written, read, refused, and used as a rule."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny import tiny_pggan
from tiny_features import tiny_vgg
from tiny_mobile import tiny_mobile_state

from mgi.config import ConfigError, RunConfig
from mgi.critics import CRITIC, critic_name, read_facts
from mgi.generators import Generator, load_file
from mgi.generators.mobile_stylegan import MobileStyleGAN
from mgi.learnt_files import LearntFileError
from mgi.metrics.domain import DomainStatistics, build_statistics
from mgi.metrics.samples import generated_images
from mgi.profiles import load_config
from mgi.scoring.critic import CriticNetwork, read_critic, write_critic
from mgi.scoring.judge import Judge
from mgi.scoring.selection import Choice, select, select_set
from mgi.training import constructed
from mgi.training.constructed import DAMAGES, KINDS, Constructed
from mgi.training.critic_card import critic_card
from mgi.training.critics import CriticConfig, train_critic

SMALL = CriticConfig(samples=20, steps=60, batch=8, width=16, learning_rate=1e-2)
GOLDEN = Path(__file__).parents[1] / "golden"
SIZE, LAYER = 64, "relu1_2"


@pytest.fixture(scope="module")
def generator() -> MobileStyleGAN:
    return MobileStyleGAN(tiny_mobile_state())


@pytest.fixture(autouse=True)
def tiny_torn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constructed, "TORN", constructed.TORN.model_copy(update={"layers": ("relu1_2", "relu2_2")}))


def domain_of(generator: Generator) -> DomainStatistics:
    return build_statistics(generated_images(generator, 16, SIZE, "cpu"), tiny_vgg(), LAYER, 8, "tiny")


@pytest.fixture(scope="module")
def learnt(generator: MobileStyleGAN) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        layers = {"layers": ("relu1_2", "relu2_2")}
        patch.setattr(constructed, "TORN", constructed.TORN.model_copy(update=layers))
        return train_critic(generator, tiny_vgg(), domain_of(generator), ("tiny", "0" * 64), SIZE, SMALL)


@pytest.mark.parametrize(
    "make", [lambda: load_file(GOLDEN / "pggan_mganprior.pth"), lambda: MobileStyleGAN(tiny_mobile_state())]
)
def test_pairs_of_every_kind_come_from_the_seed_alone(make: Any) -> None:
    found = make()
    size = min(SIZE, found.resolution)
    maker = Constructed(found, tiny_vgg(), size)
    first, again, other = maker(3), maker(3), maker(4)
    assert tuple(first) == KINDS
    for kind, pairs in first.items():
        for pair, same in zip(pairs, again[kind], strict=True):
            for image, twin in zip(pair, same, strict=True):
                assert image.shape == (1, 3, size, size) and image.abs().max() <= 1 + 1e-4
                assert torch.equal(image, twin)
            assert not torch.equal(*pair)
        assert not torch.equal(pairs[0][1], other[kind][0][1])
    assert torch.equal(first["torn"][0][1], first["oracle"][0][1])  # the same torn warp is the worse one of both


def test_more_damage_is_farther_from_the_picture() -> None:
    picture = torch.nn.functional.avg_pool2d(torch.rand(1, 3, 70, 70) * 2 - 1, 7, 1)
    for damage in DAMAGES:
        weak, strong = (damage(picture, much, torch.Generator().manual_seed(0)) for much in (0.1, 0.9))
        assert weak.shape == strong.shape == picture.shape
        assert 0 < (weak - picture).square().mean() < (strong - picture).square().mean(), damage.__name__


def test_it_is_right_on_pairs_that_it_never_saw(learnt: Any) -> None:
    facts = learnt[1]
    assert set(facts.right) == set(KINDS)
    assert facts.right["damaged"] > 0.6 and np.mean(list(facts.right.values())) > 0.6  # samples of random weights
    assert (facts.samples, facts.rows, facts.layer, facts.width) == (16, SIZE, LAYER, 16)
    assert f"| damaged | {facts.right['damaged']:.1%} |" in critic_card(facts)


def test_a_training_gives_the_same_numbers_again(generator: MobileStyleGAN, learnt: Any) -> None:
    again = train_critic(generator, tiny_vgg(), domain_of(generator), ("tiny", "0" * 64), SIZE, SMALL)
    for name, tensor in learnt[0].state_dict().items():
        assert torch.equal(tensor, again[0].state_dict()[name])
    assert again[1].right == learnt[1].right


def test_the_file_says_what_the_network_says(learnt: Any, tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    write_critic(path, *learnt)
    critic = read_critic(path)
    assert critic.facts == learnt[1] == read_facts(path)
    features = np.random.default_rng(0).normal(size=(6, 16, 16)).astype(np.float16)
    with torch.no_grad():
        expected = float(learnt[0](torch.from_numpy(features.astype(np.float32))[None])[0])
    assert critic(features) == pytest.approx(expected, rel=0.05, abs=0.01)
    assert np.isnan(critic(np.full_like(features, np.nan)))


def test_files_that_are_none_are_refused(learnt: Any, tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    for tensors, values, message in (
        ({}, {}, "critic"),
        (learnt[0].state_dict(), {**vars(learnt[1]), "right": 3}, "critic|damaged"),
        ({"enter.weight": torch.zeros(3)}, vars(learnt[1]), "tensors of a critic"),
        ({**learnt[0].state_dict(), "more": torch.zeros(1)}, vars(learnt[1]), "tensors of a critic"),
    ):
        save_file(tensors, path, {"mgi-critic": json.dumps(values)})
        with pytest.raises(LearntFileError, match=message) as caught:
            read_critic(path)
        assert "\n" not in str(caught.value)
    save_file(learnt[0].state_dict(), path, {"mgi-descriptor": json.dumps(vars(learnt[1]))})
    with pytest.raises(LearntFileError, match="is not a critic"):
        read_critic(path)
    path.write_bytes(b"x" * 100)
    with pytest.raises(LearntFileError, match="not a readable critic"):
        read_facts(path)


# As a rule


@pytest.fixture
def own(learnt: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A critic that says it was learnt for the embedded generator."""
    from mgi.weights.identity import generator_sha256

    path = tmp_path / "c.safetensors"
    sha256 = generator_sha256("kaokore")
    facts = replace(learnt[1], generator="kaokore", generator_sha256=sha256, layer="relu3_3", samples=512, rows=128)
    network = CriticNetwork(32, 16)
    write_critic(path, network, replace(facts, backbone="vgg16-imagenet"))
    return path


def config(**changes: object) -> RunConfig:
    chosen = {f"selection.{key}": value for key, value in changes.items()}
    return load_config("quick", {"generator": "kaokore", **chosen})


def test_hypotheses_are_scored_by_one_that_fits_whatever_the_rule(own: Path) -> None:
    assert critic_name(load_config("embedded")) == "critic-mobile-stylegan-ffhq"
    other_size = load_config("embedded", {"warp.image_size": 128, "warp.feature_size": 32})
    assert critic_name(other_size) == "", "the shipped one does not fit, and nobody asked for it"
    assert critic_name(config()) == "" and critic_name(config(critic_file=str(own))) == str(own)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rule": "critic"}, "there is none for this generator"),
        ({"layer": "relu2_2"}, "it needs selection.backbone, layer, domain_samples and warp.image_size"),
        ({"domain_samples": 256}, "found vgg16-imagenet, relu3_3, 256, 128"),
        ({"domain": "."}, "it reads in the components of the generator's samples"),
    ],
)
def test_one_that_does_not_fit_is_refused(own: Path, changes: dict[str, object], message: str) -> None:
    file = {} if changes == {"rule": "critic"} else {"critic_file": str(own)}
    with pytest.raises(ConfigError, match=message) as caught:
        critic_name(config(**file, **changes))
    assert "mgi train critic kaokore" in str(caught.value)


def test_one_of_another_generator_is_refused(learnt: Any, own: Path) -> None:
    write_critic(own, *learnt)
    with pytest.raises(ConfigError, match="it was learnt from tiny, found generator kaokore"):
        critic_name(config(critic_file=str(own)))


def test_a_judge_scores_and_chooses_by_it(own: Path) -> None:
    judge = Judge(config(rule="critic", critic_file=str(own)), tiny_pggan(), tiny_vgg(), "cpu", 128)
    grids = np.random.default_rng(0).normal(size=(3, 32, 16, 16)).astype(np.float16)

    critic = judge.critic
    assert critic is not None
    numbers = [critic(grid.astype(np.float32)) for grid in grids]
    assert judge.domain_distance(grids[1], "critic") == pytest.approx(numbers[1])
    rows = [{"hypothesis": f"L0{n}N02", "l2_after": 1.0, "critic": value} for n, value in enumerate(numbers)]
    chosen = judge.select(rows)
    assert chosen["rule"] == "critic" and chosen["hypothesis"] == f"L0{int(np.argmin(numbers))}N02"


def test_a_damaged_file_is_one_line(own: Path) -> None:
    tensors = {"enter.weight": torch.zeros(16, 32, 1, 1)}
    CRITIC.write(own, tensors, read_facts(own))
    judge = Judge(config(rule="critic", critic_file=str(own)), tiny_pggan(), tiny_vgg(), "cpu", 128)
    with pytest.raises(ConfigError, match="expected the tensors of a critic") as caught:
        judge.domain_distance(np.zeros((32, 16, 16), np.float16), "critic")
    assert "\n" not in str(caught.value)


def choose(critics: list[float | None], margin: float, errors: Sequence[float] = (1.0, 1.0, 1.0)) -> Choice:
    """Of hypotheses a, b, c with distances 1, 2, 3."""
    rows = [
        {"hypothesis": name, "error": error, "spatial-fd": float(number), "critic": critic}
        for number, (name, error, critic) in enumerate(zip("abc", errors, critics, strict=True), start=1)
    ]
    return select(rows, "spatial-fd", 2.0, margin)


@pytest.mark.parametrize(
    ("critics", "margin", "winner", "guarded"),
    [
        ([5.0, 2.0, 1.0], 0.0, "a", ()),  # no guard
        ([5.0, 2.0, 1.0], 3.0, "b", ("a",)),
        ([5.0, 2.0, 1.0], 0.5, "c", ("a", "b")),
        ([4.0, 2.0, 1.0], 3.0, "a", ()),  # at the margin
        ([None, 2.0, 1.0], 0.5, "a", ("b",)),  # nobody asked its critic
        ([math.nan, math.nan, math.nan], 0.5, "a", ()),
        ([None, None, None], 0.5, "a", ()),
    ],
)
def test_the_critic_rules_out_what_is_much_worse(
    critics: list[float | None], margin: float, winner: str, guarded: tuple[str, ...]
) -> None:
    found = choose(critics, margin)
    assert (found.hypothesis, found.rule, found.guarded) == (winner, "spatial-fd", guarded)


def test_the_critic_compares_the_faithful_only() -> None:
    """One that does not match the warp sets no standard for those that do."""
    found = choose([4.0, 3.0, -9.0], 2.0, errors=(1.0, 1.5, 9.0))
    assert (found.hypothesis, found.guarded) == ("a", ("c",))


def test_the_critic_guards_rankings_of_sets_too() -> None:
    rows = [{"hypothesis": name, "error": 1.0, "critic": critic} for name, critic in (("a", 9.0), ("b", 0.0))]
    assert [choice.hypothesis for choice in select_set([rows], {"a": 1.0, "b": 2.0}, 2.0, 3.0)] == ["b"]
    assert [choice.hypothesis for choice in select_set([rows], {"a": 1.0, "b": 2.0}, 2.0)] == ["a"]
