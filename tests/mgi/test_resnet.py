"""ResNet features: equal to torchvision's, read from its state dict, plain and fine-tuned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_features import smooth_pictures
from torch import Tensor

from mgi import weights
from mgi.config import ConfigError, Oeft, RunConfig, Warp
from mgi.correspondence import oeft, warp_exemplar
from mgi.correspondence.branches import Branches
from mgi.correspondence.oeft import fine_tuned_warp
from mgi.correspondence.warping import warp_pair
from mgi.features import Chain, FeatureError, load_backbone
from mgi.features.resnet import ResNet
from mgi.profiles import load_config
from mgi.weights.canonical import write_safetensors
from mgi.weights.convert import CONVERTERS
from mgi.weights.zoo import sha256_of

WARP = Warp(
    method="oeft", backbone="resnet50-imagenet", layers=("stem", "layer2"), feature_size=16, image_size=64, patch=1
)
FAST = Oeft(
    iterations=2,
    learning_rate=1e-3,
    image_size=64,
    feature_size=16,
    perceptual_layers=("stem", "layer1"),
    context_layers=("layer1",),
    train_from="layer1.1",
)


def state_of(blocks: tuple[int, ...], width: int, seed: int = 1) -> dict[str, Tensor]:
    """A ResNet of bottlenecks under torchvision's names, thin."""
    random, state = torch.Generator().manual_seed(seed), {}

    def convolution(name: str, norm: str, outputs: int, inputs: int, size: int) -> None:
        state[f"{name}.weight"] = torch.randn(outputs, inputs, size, size, generator=random) / (inputs * size**2) ** 0.5
        for part in ("weight", "running_var"):
            state[f"{norm}.{part}"] = 0.5 + torch.rand(outputs, generator=random)
        for part in ("bias", "running_mean"):
            state[f"{norm}.{part}"] = 0.2 * torch.randn(outputs, generator=random)

    convolution("conv1", "bn1", width, 3, 7)
    inputs = width
    for stage, count in enumerate(blocks, start=1):
        middle = width * 2 ** (stage - 1)
        for index in range(count):
            name = f"layer{stage}.{index}"
            convolution(f"{name}.conv1", f"{name}.bn1", middle, inputs, 1)
            convolution(f"{name}.conv2", f"{name}.bn2", middle, middle, 3)
            convolution(f"{name}.conv3", f"{name}.bn3", 4 * middle, middle, 1)
            if index == 0:
                convolution(f"{name}.downsample.0", f"{name}.downsample.1", 4 * middle, inputs, 1)
            inputs = 4 * middle
    return state


@pytest.fixture(scope="module")
def tiny() -> ResNet:
    return ResNet("tiny", state_of((2, 1), 4))


@pytest.fixture(scope="module")
def pairs() -> tuple[Tensor, Tensor]:
    return smooth_pictures(2)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.nn.Module, Path]:
    """torchvision's ResNet-50 with random weights and statistics, and the file that it would be published as."""
    from torchvision.models import resnet50

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        net = resnet50(weights=None).eval()
        for name, values in net.state_dict().items():
            if name.endswith(("running_var", "bn1.weight", "bn2.weight", "downsample.1.weight")):
                values.uniform_(0.5, 1.5)
            elif name.endswith("bn3.weight"):
                values.uniform_(0.1, 0.3)  # as in trained ones: sums over many blocks stay moderate
            elif name.endswith("running_mean") or ("bn" in name and name.endswith("bias")):
                values.uniform_(-0.3, 0.3)
    path = tmp_path_factory.mktemp("resnet") / "resnet50-0676ba61.pth"
    torch.save(net.state_dict(), path)
    return net, path


def test_every_layer_equals_torchvision(published: tuple[Any, Path]) -> None:
    net, path = published
    tensors, metadata = CONVERTERS["resnet-torchvision"](path)
    assert not [name for name in tensors if name.startswith("fc.") or name.endswith("num_batches_tracked")]
    assert metadata["input"] == "torchvision-rgb"
    found = ResNet("resnet50", {name: torch.from_numpy(values) for name, values in tensors.items()})
    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(4)) * 2 - 1
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        x = ((images + 1) / 2 - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
        expected = {"stem": net.relu(net.bn1(net.conv1(x)))}
        x = net.maxpool(expected["stem"])
        for name in ("layer1", "layer2", "layer3", "layer4"):
            expected[name] = x = getattr(net, name)(x)
    pyramid = found(images, found.layers)
    assert list(pyramid) == ["stem", "layer1", "layer2", "layer3", "layer4"]
    for layer, feature in pyramid.items():
        assert feature.shape[1] == found.channels(layer)
        spread = float(expected[layer].std())
        assert 1e-2 < spread < 1e3
        torch.testing.assert_close(feature / spread, expected[layer] / spread, rtol=0, atol=1e-4)


def test_the_zoo_file_is_read_by_its_name(published: tuple[Any, Path], tmp_path: Path, monkeypatch: Any) -> None:
    item = weights.entry("resnet50-imagenet")
    assert item.source == f"https://download.pytorch.org/models/{item.file}"
    assert published[1].name == item.file and abs(published[1].stat().st_size / item.download_bytes - 1) < 0.01
    monkeypatch.setenv("MGI_WEIGHTS_DIR", str(tmp_path))
    write_safetensors(item.path, *CONVERTERS[item.converter](published[1]))
    assert abs(item.path.stat().st_size / item.size_bytes - 1) < 0.01
    item.record_path.write_text(json.dumps({"sha256": sha256_of(item.path)}), encoding="utf-8")
    found = load_backbone("resnet50-imagenet")
    assert isinstance(found, Chain) and found.layers[-1] == "layer4" and found.channels("layer4") == 2048
    item.path.write_bytes(b"nonsense")
    item.record_path.write_text(json.dumps({"sha256": sha256_of(item.path)}), encoding="utf-8")
    with pytest.raises(FeatureError, match="not a readable safetensors file"):
        load_backbone("resnet50-imagenet")


def test_another_network_is_not_converted(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(2, 3, 7, 7), "layer1.0.conv2.weight": torch.zeros(1)}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match=r"the state dict has no layer1\.0\.conv3\.weight"):
        CONVERTERS["resnet-torchvision"](tmp_path / "x.pth")


def test_gradients_reach_the_picture_and_no_weight(tiny: ResNet) -> None:
    images = torch.zeros(1, 3, 32, 32, requires_grad=True)
    tiny(images, ["layer2"])["layer2"].sum().backward()
    assert images.grad is not None and images.grad.abs().sum() > 0
    assert not list(tiny.parameters()) and not any(buffer.requires_grad for buffer in tiny.buffers())


def test_runs_only_as_deep_as_asked() -> None:
    state = state_of((2, 1), 4)
    state["layer1.1.conv1.weight"][:] = torch.nan
    broken = ResNet("broken", state)
    assert torch.isfinite(broken(torch.zeros(1, 3, 32, 32), ["stem"])["stem"]).all()
    assert torch.isnan(broken(torch.zeros(1, 3, 32, 32), ["layer1"])["layer1"]).any()


def test_errors_name_what_there_is(tiny: ResNet) -> None:
    with pytest.raises(FeatureError, match="tiny has no layer 'relu3_4'; use one of stem, layer1, layer2"):
        tiny(torch.zeros(1, 3, 32, 32), ["relu3_4"])
    with pytest.raises(FeatureError, match="no layer was asked for"):
        tiny(torch.zeros(1, 3, 32, 32), [])
    with pytest.raises(FeatureError, match=r"expected tensors conv1\.weight, layer1\.0\.conv3\.weight"):
        ResNet("resnet18", {"conv1.weight": torch.zeros(1), "layer1.0.conv1.weight": torch.zeros(1)})
    state = state_of((1,), 4)
    del state["layer1.0.bn2.running_var"]
    with pytest.raises(FeatureError, match=r"layer1\.0\.bn2\.running_var is missing"):
        ResNet("part", state)


def test_a_configuration_may_name_it() -> None:
    changes = {"warp.backbone": "resnet50-imagenet", "warp.layers": ["layer1", "layer2"]}
    assert load_config("embedded", changes).warp.backbone == "resnet50-imagenet"


def test_the_plain_warp_takes_its_layers(tiny: ResNet, pairs: tuple[Tensor, Tensor]) -> None:
    source, exemplar = pairs
    config = WARP.model_copy(update={"temperature": 1e4})
    same = warp_exemplar(source, source, tiny, config)
    assert (same - source).abs().mean() < 0.1 < (warp_exemplar(source, exemplar, tiny, config) - source).abs().mean()


# ------------------------------------------------------------------ fine-tuned


def test_the_copies_start_as_the_network(tiny: ResNet, pairs: tuple[Tensor, Tensor]) -> None:
    expected = tiny(torch.cat(pairs), tiny.layers)
    for train_from in ("stem", "layer1.0", "layer1.1", "layer2.0"):
        net = Branches(tiny, ("stem", "layer2"), ("layer1", "layer2"), train_from, pairs=2)
        trunk = net.trunk(torch.cat(pairs))
        for side in ("source", "exemplar"):
            for found, layer in zip(net.features(trunk, side), ("stem", "layer2"), strict=True):  # type: ignore[arg-type]
                torch.testing.assert_close(found, expected[layer], rtol=1e-4, atol=1e-4)
        for layer, found in net.frozen_features(trunk).items():
            torch.testing.assert_close(found, expected[layer], rtol=1e-4, atol=1e-4)


def test_fine_tuning_a_resnet(tiny: ResNet, pairs: tuple[Tensor, Tensor]) -> None:
    source, exemplar = pairs
    before = {name: values.clone() for name, values in tiny.named_buffers()}
    settings = Oeft.model_validate({**FAST.model_dump(), "iterations": 20, "augment": False})
    together = fine_tuned_warp(source, exemplar, tiny, WARP, settings, [5, 6])
    assert together.how == [oeft.FINE_TUNED] * 2
    assert (together.losses[:, -1, -1] < 0.95 * together.losses[:, 0, -1]).all()
    assert (together.warp - warp_exemplar(source, exemplar, tiny, WARP)).abs().max() > 1e-2
    assert all(torch.equal(values, before[name]) for name, values in tiny.named_buffers())


def test_a_pair_does_not_depend_on_its_batch(tiny: ResNet, pairs: tuple[Tensor, Tensor]) -> None:
    source, exemplar = pairs
    together = fine_tuned_warp(source, exemplar, tiny, WARP, FAST, [5, 6])
    for i in range(2):
        alone = fine_tuned_warp(source[i : i + 1], exemplar[i : i + 1], tiny, WARP, FAST, [5 + i])
        torch.testing.assert_close(together.losses[i : i + 1], alone.losses, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(together.warp[i : i + 1], alone.warp, rtol=0, atol=5e-4)


def test_a_run_fine_tunes_a_resnet(tiny: ResNet, pairs: tuple[Tensor, Tensor]) -> None:
    source, exemplar = (images[:1] for images in pairs)
    found = warp_pair(source, exemplar, tiny, RunConfig(warp=WARP, oeft=FAST), seed=1)
    assert found.info["warp_method"] == oeft.FINE_TUNED
    wrong = Oeft.model_validate({**FAST.model_dump(), "train_from": "conv1_1"})
    with pytest.raises(ConfigError, match=r"oeft\.train_from = conv1_1 .* of tiny depend on, stem to layer2\.0"):
        warp_pair(source, exemplar, tiny, RunConfig(warp=WARP, oeft=wrong), seed=1)
    layers = Oeft.model_validate({**FAST.model_dump(), "perceptual_layers": ["relu1_2"]})
    with pytest.raises(FeatureError, match="tiny has no layer 'relu1_2'; use one of stem, layer1, layer2"):
        warp_pair(source, exemplar, tiny, RunConfig(warp=WARP, oeft=layers), seed=1)
