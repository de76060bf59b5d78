"""VGG against the golden vectors of the public weights, and against torchvision; Inception against pytorch-fid."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from mgi import weights
from mgi.features import FeatureError, load_backbone
from mgi.features.efficientnet import read_efficientnet
from mgi.features.vgg import VGG, read_vgg
from mgi.images import to_float

GOLDEN = Path(__file__).parents[1] / "golden"
WIDTHS = (4, 6, 8, 8, 8)


def small_tensors(per_block: tuple[int, ...] = (2, 2, 3, 3, 3)) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    tensors, before = {}, 3
    for block, (count, width) in enumerate(zip(per_block, WIDTHS, strict=True), start=1):
        for index in range(1, count + 1):
            tensors[f"conv{block}_{index}.weight"] = torch.randn(width, before, 3, 3, generator=generator) * 0.2
            tensors[f"conv{block}_{index}.bias"] = torch.randn(width, generator=generator)
            before = width
    return tensors


@pytest.fixture
def small() -> VGG:
    return VGG("small", small_tensors(), "torchvision-rgb")


def test_layers_are_read_from_the_weights(small: VGG) -> None:
    assert small.layers[:3] == ("relu1_1", "relu1_2", "relu2_1") and small.layers[-1] == "relu5_3"
    vgg19 = VGG("small", small_tensors((2, 2, 4, 4, 4)), "torchvision-rgb")
    assert "relu3_4" in vgg19.layers and len(vgg19.layers) == 16
    assert small.channels("relu2_2") == 6


def test_pyramid_has_the_order_asked_for_and_halves_per_block(small: VGG) -> None:
    pyramid = small(torch.zeros(2, 3, 32, 32), ["relu3_3", "relu1_2"])
    assert {layer: tuple(f.shape) for layer, f in pyramid.items()} == {
        "relu3_3": (2, 8, 8, 8),
        "relu1_2": (2, 4, 32, 32),
    }
    assert list(pyramid) == ["relu3_3", "relu1_2"]


def test_runs_only_as_deep_as_asked(small: VGG) -> None:
    small.register_buffer("weight5_3", torch.full_like(small.get_buffer("weight5_3"), torch.nan))
    for layer in ("weight2_1", "weight5_3"):
        small.register_buffer(layer, torch.full_like(small.get_buffer(layer), torch.nan))
    assert torch.isfinite(small(torch.zeros(1, 3, 16, 16), ["relu1_2"])["relu1_2"]).all()


@pytest.mark.parametrize("convention", ["torchvision-rgb", "caffe-bgr"])
def test_input_folding_equals_normalising_the_picture(convention: str) -> None:
    tensors = small_tensors()
    images = torch.rand(1, 3, 8, 8) * 2 - 1
    if convention == "torchvision-rgb":
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        plain = ((images + 1) / 2 - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    else:
        plain = (images.flip(1) + 1) * 127.5 - torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    expected = F.conv2d(plain, tensors["conv1_1.weight"], tensors["conv1_1.bias"], padding=1).relu()
    found = VGG("small", tensors, convention)(images, ["relu1_1"])["relu1_1"]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_gradients_reach_the_picture_and_no_weight(small: VGG) -> None:
    images = torch.zeros(1, 3, 16, 16, requires_grad=True)
    small(images, ["relu2_2"])["relu2_2"].sum().backward()
    assert images.grad is not None and images.grad.abs().sum() > 0
    assert not list(small.parameters()) and not any(buffer.requires_grad for buffer in small.buffers())


def test_bfloat16_is_close_and_returns_float32() -> None:
    images = torch.rand(1, 3, 32, 32)
    exact = VGG("small", small_tensors(), "torchvision-rgb")(images, ["relu3_3"])["relu3_3"]
    rough = VGG("small", small_tensors(), "torchvision-rgb", "bf16")(images, ["relu3_3"])["relu3_3"]
    assert rough.dtype == torch.float32
    assert (rough - exact).norm() / exact.norm() < 0.02


def test_errors_name_what_there_is(small: VGG, tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match="small has no layer 'relu3_4'; use one of relu1_1"):
        small(torch.zeros(1, 3, 16, 16), ["relu3_4"])
    with pytest.raises(FeatureError, match="no layer was asked for"):
        small(torch.zeros(1, 3, 16, 16), [])
    with pytest.raises(FeatureError, match="unknown feature network 'vgg11'"):
        load_backbone("vgg11")
    (tmp_path / "bad.safetensors").write_bytes(b"nonsense")
    with pytest.raises(FeatureError, match="not a readable safetensors file"):
        read_vgg("vgg", tmp_path / "bad.safetensors")
    save_file(small_tensors(), tmp_path / "plain.safetensors")
    with pytest.raises(FeatureError, match="must be caffe-bgr or torchvision-rgb, found ''"):
        read_vgg("vgg", tmp_path / "plain.safetensors")
    with pytest.raises(FeatureError, match=r"expected tensors conv1_1\.weight"):
        VGG("vgg", {"layer0.weight": torch.zeros(1)}, "caffe-bgr")
    tensors = small_tensors()
    del tensors["conv3_2.bias"]
    with pytest.raises(FeatureError, match=r"conv3_2\.bias is missing"):
        VGG("vgg", tensors, "caffe-bgr")


def test_vgg19_equals_torchvision() -> None:
    from torchvision.models.vgg import cfgs, make_layers

    net = make_layers(cfgs["E"]).eval()
    state, number = {}, 0
    for block, count in enumerate((2, 2, 4, 4, 4), start=1):
        for index in range(1, count + 1):
            while not isinstance(net[number], torch.nn.Conv2d):
                number += 1
            state[f"conv{block}_{index}.weight"] = net[number].weight.detach()
            state[f"conv{block}_{index}.bias"] = net[number].bias.detach()
            number += 1
    images = torch.rand(1, 3, 32, 32) * 2 - 1
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalised = ((images + 1) / 2 - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    found = VGG("vgg19", state, "torchvision-rgb")(images, ["relu3_4", "relu5_4"])
    with torch.no_grad():
        torch.testing.assert_close(found["relu3_4"], net[:18](normalised), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(found["relu5_4"], net[:36](normalised), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_inception_equals_pytorch_fid(monkeypatch: pytest.MonkeyPatch) -> None:
    from pytorch_fid import inception as reference

    from mgi.features.inception import InceptionFID

    # The published weights are not in the repository: both networks get the same random ones instead.
    torch.manual_seed(0)
    monkeypatch.setattr(reference, "load_state_dict_from_url", lambda *_, **__: {})
    monkeypatch.setattr(torch.nn.Module, "load_state_dict", lambda *_: None)
    theirs_net = reference.fid_inception_v3()
    state = theirs_net.state_dict()
    monkeypatch.undo()
    monkeypatch.setattr(reference, "fid_inception_v3", lambda: theirs_net)
    theirs = reference.InceptionV3([0, 1, 2, 3], resize_input=True, normalize_input=True).eval()
    ours = InceptionFID(state)
    images = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        expected = theirs((images + 1) / 2)
        found = ours(images, ["pool1", "pool2", "mixed_6e", "pool3"])
    for want, got in zip(expected, found.values(), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-4)
    assert ours.channels("pool3") == 2048
    state.pop("Mixed_7c.branch1x1.conv.weight")
    with pytest.raises(FeatureError, match=r"tensor Mixed_7c.branch1x1.conv.weight is missing;"):
        InceptionFID(state)


@pytest.mark.slow
def test_vgg16_equals_the_golden_vectors() -> None:
    golden = np.load(GOLDEN / "vgg16_imagenet.npz")
    backbone = read_vgg("vgg16-imagenet", weights.path("vgg16-imagenet"))
    layers = [key for key in golden if key.startswith("relu")]
    with torch.no_grad():
        pyramid = backbone(to_float(golden["image_rgb_uint8"]), layers)
    for layer in layers:
        found = F.adaptive_avg_pool2d(pyramid[layer], 15)[:, ::4]
        torch.testing.assert_close(found, torch.from_numpy(golden[layer]), rtol=1e-4, atol=1e-2)


def test_efficientnet_equals_its_plain_reading(efficientnet_file: Path) -> None:
    """Folded batch norms and padding against the network written out with PyTorch's own batch norm."""
    state = load_file(efficientnet_file)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))

    def block(x: torch.Tensor, convolution: str, norm: str, stride: int = 1, groups: int = 1) -> torch.Tensor:
        weight = state[f"{convolution}.weight"]
        if stride == 2:  # an even size and a kernel of 3 or 5: one pixel more on the right and below
            more = (weight.shape[-1] - 2) // 2
            x = F.pad(x, (more, more + 1, more, more + 1))
        y = F.conv2d(x, weight, stride=stride, groups=groups, padding=0 if stride == 2 else weight.shape[-1] // 2)
        statistics = [state[f"{norm}.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(y, *statistics, eps=1e-3)

    x = F.relu6(block(((images + 1) / 2 - mean) / std, "_conv_stem", "_bn0", stride=2))
    expected = {}
    for index, stride in enumerate((1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)):
        name, y = f"_blocks.{index}.", x
        if f"{name}_expand_conv.weight" in state:
            y = F.relu6(block(y, f"{name}_expand_conv", f"{name}_bn0"))
        groups = len(state[f"{name}_depthwise_conv.weight"])
        y = F.relu6(block(y, f"{name}_depthwise_conv", f"{name}_bn1", stride, groups))
        y = block(y, f"{name}_project_conv", f"{name}_bn2")
        x = x + y if x.shape == y.shape else y
        expected[index] = x
    network = read_efficientnet("efficientnet-lite0", efficientnet_file)
    found = network(images, network.layers)
    for layer, index in zip(network.layers, (2, 4, 10, 15), strict=True):
        assert found[layer].shape[1] == network.channels(layer)
        assert found[layer].shape[-1] == 64 // int(layer.removeprefix("stride"))
        assert torch.allclose(found[layer], expected[index], rtol=1e-3, atol=1e-3)
    with pytest.raises(FeatureError, match="no layer 'stride64'"):
        network(images, ["stride64"])


@pytest.fixture(scope="module")
def efficientnet_file() -> Path:
    try:
        return weights.path("efficientnet-lite0")
    except weights.WeightsMissing as error:
        pytest.skip(str(error))


@pytest.mark.slow
def test_lpips_equals_the_package() -> None:
    """With random convolutions, because the learnt ones are a download; the learnt heads come with the package."""
    import warnings

    from mgi.features.lpips import LAYERS, LPIPS, named, read_heads
    from mgi.losses import perceptual

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision's old arguments, which the package still passes
        import lpips

        public = lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False).eval()
    state = {}
    for name, tensor in public.net.state_dict().items():
        _, position, kind = name.split(".")
        state[f"features.{position}.{kind}"] = tensor
    ours = LPIPS(named(state), read_heads(), "fp32")
    x, y = torch.rand(2, 3, 64, 64) * 2 - 1, torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        expected = public(x, y).flatten()
        found = perceptual(ours(x, LAYERS), ours(y, LAYERS), "lpips", heads=ours.heads)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
