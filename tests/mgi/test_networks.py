"""Which networks a configuration needs, and what is said about missing ones: all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgi import weights
from mgi.metrics.vgg import VGG
from mgi.profiles import load_config
from mgi.translators.needs import MEASURED_BY
from mgi.translators.networks import fetch_all, inspect, needs


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MGI_WEIGHTS_DIR", str(tmp_path / "weights"))
    monkeypatch.setenv("MGI_OFFLINE", "1")
    monkeypatch.delenv("MGI_WEIGHTS_MIRROR", raising=False)
    return tmp_path


def test_every_network_is_named_with_what_it_is_for() -> None:
    assert needs(load_config("paper-celebahq")) == {
        "pggan-celebahq-1024": ("generator",),
        "vgg19-imagenet": ("warp",),
        "vgg16-imagenet": ("loss", "measures"),
        "inception-fid": ("selection",),
        "mtcnn-faces": ("alignment",),
    }
    assert needs(load_config("quick")) == {
        "kaokore-64": ("generator",),
        "vgg16-imagenet": ("warp", "loss", "measures", "selection"),
    }
    inverting = needs(load_config("paper-ffhq", {"task": "invert"}, "stylegan2-projector"))
    assert inverting["lpips-vgg"] == ("loss",)
    assert "vgg19-imagenet" not in inverting
    assert VGG.weights == (MEASURED_BY,)


def test_each_missing_network_says_what_to_bring() -> None:
    found = {network.name: network for network in inspect(load_config("paper-celebahq"))}
    assert {network.state for network in found.values()} == {"missing"}
    for name, network in found.items():
        item = weights.entry(name)
        assert all(part in network.advice for part in (item.file, item.home, str(weights.folder())))
    assert [network.state for network in inspect(load_config("quick"))] == ["here", "missing"]


def test_a_damaged_network_is_not_here() -> None:
    weights.folder().mkdir()
    (weights.folder() / "vgg16-imagenet.safetensors").write_bytes(b"no")
    found = inspect(load_config("quick"))[1]
    assert found.state == "corrupt" and "mgi weights fetch vgg16-imagenet" in found.advice


def test_a_generator_of_ones_own_is_a_file(nothing_here: Path) -> None:
    config = load_config("quick", {"generator": str(nothing_here / "mine.pth")})
    assert inspect(config)[0].state == "missing"
    (nothing_here / "mine.pth").touch()
    assert inspect(config)[0].state == "here"


def test_a_start_names_all_that_are_missing() -> None:
    config = load_config("paper-celebahq")
    with pytest.raises(weights.WeightsMissing) as error:
        fetch_all(config)
    text = str(error.value)
    assert text.startswith("5 networks are missing") and "\n" not in text
    for name in needs(config):
        assert name in text and weights.entry(name).file in text


def test_nothing_is_downloaded_where_somebody_has_to_bring_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MGI_OFFLINE")
    monkeypatch.setattr("mgi.weights.web.get", lambda *_: pytest.fail("asked a server"))
    with pytest.raises(weights.WeightsMissing) as error:
        fetch_all(load_config("paper-celebahq"))
    assert "needs a person with a browser" in str(error.value)
    assert "vgg19-imagenet (not tried" in str(error.value)
