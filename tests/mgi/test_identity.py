"""Measurements of weights and pictures are kept under the content, and cheaply."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mgi import translators
from mgi.config import RunConfig
from mgi.features import load_backbone
from mgi.own_files import folder_sha256, own_hashes
from mgi.profiles import load_config
from mgi.scoring import domains as judging
from mgi.scoring.judge import Judge
from mgi.statistics import shipped, shipped_files
from mgi.weights import WeightsMissing, identity, load_generator, zoo
from mgi.weights.identity import content_hashes, generator_sha256, zoo_name

GOLDEN = Path(__file__).parents[1] / "golden"
ONE = GOLDEN / "pggan_mganprior.pth"
KAOKORE = zoo.entry("kaokore").path


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in (judging, identity):
        monkeypatch.setattr(module, "user_cache_path", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache" / "mgi"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read to be hashed."""
    found: list[str] = []
    read = identity._sha256
    monkeypatch.setattr(identity, "_sha256", lambda path: (found.append(path.name), read(path))[1])
    return found


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A checkpoint of the same network with other weights."""
    state = torch.load(ONE, weights_only=True)
    torch.save({name: -tensor for name, tensor in state.items()}, tmp_path / "other.pth")
    return tmp_path / "other.pth"


# hashes


def test_a_large_file_is_hashed_once(tmp_path: Path, reads: list[str]) -> None:
    path = tmp_path / "large [1].safetensors"
    path.write_bytes(bytes(identity.WORTH_REMEMBERING))
    first = content_hashes([path], path)
    assert content_hashes([path], path) == first and reads == [path.name]
    old = path.stat()
    time.sleep(0.05)  # a tick of the file system's clock
    path.write_bytes(b"\1" + bytes(identity.WORTH_REMEMBERING - 1))
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))  # the old size and time hide nothing
    assert content_hashes([path], path) != first and len(reads) == 2


def test_small_files_leave_nothing_behind(tmp_path: Path, own_cache: Path, reads: list[str]) -> None:
    path = tmp_path / "small"
    path.write_bytes(b"small")
    assert content_hashes([path], path) == content_hashes([path], path)
    assert len(reads) == 2 and not own_cache.exists()


@pytest.mark.parametrize("damage", ["", "[]", '{"a": 1}', '{"a": [1, 2]}'])
def test_a_damaged_memory_is_made_again(tmp_path: Path, own_cache: Path, reads: list[str], damage: str) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(identity.WORTH_REMEMBERING))
    first = content_hashes([path], path)
    (memory,) = (own_cache / "hashes").iterdir()
    memory.write_text(damage)
    assert content_hashes([path], path) == first
    assert json.loads(memory.read_text())[str(path)][3] == first[0]
    assert content_hashes([path], path) == first and len(reads) == 2


def test_of_a_folder_only_what_changed_is_read(tmp_path: Path, reads: list[str]) -> None:
    files = [tmp_path / f"{number}.png" for number in range(4)]
    for number, file in enumerate(files):
        file.write_bytes(bytes([number]) * identity.WORTH_REMEMBERING)
    first = folder_sha256(tmp_path, files)
    time.sleep(0.05)
    files[2].write_bytes(b"\7" * identity.WORTH_REMEMBERING)
    assert folder_sha256(tmp_path, files) != first
    assert reads == ["0.png", "1.png", "2.png", "3.png", "2.png"]


# names


def test_a_copy_of_the_zoos_weights_is_the_zoos(tmp_path: Path) -> None:
    copy = tmp_path / "my [kaokore] *.safetensors"
    shutil.copy(KAOKORE, copy)
    assert zoo_name(str(copy)) == zoo_name("kaokore") == "kaokore"
    assert generator_sha256(str(copy)) == generator_sha256("kaokore") == zoo.expected_sha256(zoo.entry("kaokore"))
    assert shipped_files(str(copy)) == shipped_files("kaokore") != []
    name = "vgg16-imagenet-relu3_3-512.npz"
    assert shipped(str(copy), name) == shipped("kaokore", name) is not None


@pytest.mark.parametrize("name", [str(ONE), "pggan_mganprior.pth", "nowhere", "*", "[k]aokore", "kaokore*"])
def test_weights_of_ones_own_have_no_shipped_statistics(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(GOLDEN)
    assert shipped_files(name) == [] and shipped(name) is None


def test_statistics_that_lie_beside_a_checkpoint_are_not_ours(tmp_path: Path) -> None:
    shutil.copy(ONE, tmp_path / "mine.pth")
    (tmp_path / "mine.pth.latents.safetensors").write_bytes(b"anything")
    assert shipped(str(tmp_path / "mine.pth")) is None


# domain statistics


def config(generator: Path | str, **changes: Any) -> RunConfig:
    overrides = {"selection.domain_samples": 16, "selection.layer": "relu2_2", "warp.image_size": 64}
    overrides["inversion.hypotheses"] = ["L03N02"]
    return load_config("quick", {**overrides, "generator": str(generator), **changes})


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What statistics are measured on, in order."""
    found: list[str] = []
    build = judging.build_statistics
    monkeypatch.setattr(
        judging, "build_statistics", lambda *given: (found.append(given[4].partition(",")[0]), build(*given))[1]
    )
    return found


def judge(settings: RunConfig) -> Judge:
    try:
        backbone = load_backbone(settings.selection.backbone)
    except WeightsMissing as error:
        pytest.skip(str(error))
    return Judge(settings, load_generator(settings.generator), backbone, "cpu", settings.warp.image_size)


def test_statistics_are_those_of_the_checkpoint_not_of_its_name(tmp_path: Path, other: Path, built: list[str]) -> None:
    path = tmp_path / "generator.pth"
    shutil.copy(ONE, path)
    first = judge(config(path)).domain
    shutil.copy(other, path)
    second = judge(config(path)).domain
    assert built == [str(path)] * 2
    assert not np.allclose(first.basis.origin, second.basis.origin)
    shutil.copy(ONE, tmp_path / "copy.pth")
    again = judge(config(tmp_path / "copy.pth")).domain
    assert len(built) == 2, "measured again under another name"
    np.testing.assert_array_equal(first.locations.covariance, again.locations.covariance)


@pytest.mark.parametrize(
    "changes",
    [
        {"selection.domain_samples": 17},
        {"selection.layer": "relu1_2"},
        {"warp.image_size": 32},
        {"inversion.precision": "bf16"},
    ],
)
def test_statistics_are_of_one_setting(built: list[str], changes: dict[str, Any]) -> None:
    _ = judge(config(ONE)).domain
    _ = judge(config(ONE, **changes)).domain
    assert len(built) == 2


def test_statistics_are_of_one_feature_network(built: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = judge(config(ONE)), judge(config(ONE))
    _ = first.domain
    hashes = zoo.expected_sha256
    monkeypatch.setattr(zoo, "expected_sha256", lambda e: "0" * 64 if e.name == "vgg16-imagenet" else hashes(e))
    _ = second.domain
    assert len(built) == 2


@pytest.mark.slow
def test_a_generator_made_in_memory_is_what_its_tensors_are(other: Path, built: list[str]) -> None:
    settings = config("made in memory")
    backbone = load_backbone(settings.selection.backbone)
    for source in (ONE, ONE, other):
        _ = Judge(settings, load_generator(source), backbone, "cpu", 64).domain
    assert len(built) == 2


def renamed(folder: Path) -> None:
    for number, file in enumerate(sorted(folder.iterdir())):
        file.rename(folder / f"new{number}.png")


def touched(folder: Path) -> None:
    (folder / "1.png").touch()


def replaced(folder: Path) -> None:
    old = (folder / "1.png").stat()
    Image.effect_noise((80, 70), 90).convert("RGB").save(folder / "1.png")
    os.utime(folder / "1.png", ns=(old.st_atime_ns, old.st_mtime_ns))


@pytest.mark.parametrize(("change", "times"), [(renamed, 1), (touched, 1), (replaced, 2)])
def test_a_folder_is_what_its_pictures_hold(
    tmp_path: Path, built: list[str], change: Callable[[Path], None], times: int
) -> None:
    folder = tmp_path / "domain"
    folder.mkdir()
    for index in range(3):
        Image.effect_noise((80, 70), 40 + index).convert("RGB").save(folder / f"{index}.png")
    (folder / "folder.png").mkdir()  # no picture
    settings = config(ONE, **{"selection.domain": str(folder)})
    before = own_hashes(settings)[str(folder)]
    _ = judge(settings).domain
    change(folder)
    _ = judge(settings).domain
    assert len(built) == times
    assert (own_hashes(settings)[str(folder)] == before) == (times == 1)


# loaded methods


def test_a_long_lived_process_loads_a_replaced_checkpoint(tmp_path: Path, other: Path) -> None:
    path = tmp_path / "generator.pth"
    shutil.copy(ONE, path)
    settings = config(path)
    try:
        first = translators.load_translator(settings)
    except WeightsMissing as error:
        pytest.skip(str(error))
    assert translators.load_translator(settings) is first
    path.touch()
    assert translators.load_translator(settings) is first
    shutil.copy(other, path)
    second = translators.load_translator(settings)
    before, after = (method.engine.generator.state_dict() for method in (first, second))
    assert all(torch.equal(before[name], -after[name]) for name in before)
