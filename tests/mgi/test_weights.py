"""The zoo: fetching from a mirror, checking hashes, and what the user reads when something is wrong."""

import contextlib
import hashlib
import json
import multiprocessing
import os
import socketserver
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from mgi import weights
from mgi.weights import download, load_generator, zoo
from mgi.weights.canonical import write_safetensors
from mgi.weights.convert import CONVERTERS

STATE = {"features.0.weight": torch.arange(6.0).reshape(2, 3), "classifier.1.bias": torch.zeros(2)}


@pytest.fixture
def world(tmp_path, monkeypatch):
    """An empty weights folder, a mirror folder, no network, and one entry `toy` published as a state dict."""
    folder, mirror = tmp_path / "weights", tmp_path / "mirror"
    mirror.mkdir()
    monkeypatch.setenv("MGI_WEIGHTS_DIR", str(folder))
    monkeypatch.setenv("MGI_WEIGHTS_MIRROR", str(mirror))
    monkeypatch.setenv("MGI_OFFLINE", "1")
    torch.save(STATE, mirror / "toy.pth")
    return use(monkeypatch, toy(hashlib.sha256((mirror / "toy.pth").read_bytes()).hexdigest()[:8]))


def toy(file_sha256: str, **changes) -> weights.Entry:
    fields = {
        "name": "toy",
        "title": "Toy",
        "kind": "features",
        "embedded": False,
        "source": "https://example.invalid/toy.pth",
        "file": "toy.pth",
        "file_sha256": file_sha256,
        "converter": "features",
        "sha256": "",
        "size_bytes": 1,
        "download_bytes": 1,
        "licence": "none",
        "citation": "none",
    }
    return weights.Entry(**{**fields, **changes})


def use(monkeypatch, item: weights.Entry) -> weights.Entry:
    monkeypatch.setattr(zoo, "_catalogue", lambda: {item.name: item})
    return item


@contextlib.contextmanager
def serving(server: socketserver.BaseServer):
    """The server, answering from its own thread until the block ends."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def one_line(error) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_the_catalogue_is_complete():
    entries = {item.name: item for item in weights.entries()}
    assert {
        "mobile-stylegan-ffhq",
        "vgg16-imagenet",
        "efficientnet-lite0",
        "mtcnn-faces",
        "kaokore",
        "kaokore-64",
        "kaokore-128",
        "descriptor-mobile-stylegan-ffhq",
        "descriptor-kaokore-64",
        "critic-mobile-stylegan-ffhq",
        "encoder-mobile-stylegan-ffhq",
    } == {name for name, item in entries.items() if item.embedded}
    assert {"pggan-celebahq-1024", "stylegan-ffhq-1024", "stylegan2-ffhq-1024"} <= entries.keys()
    assert {"vgg19-imagenet", "inception-fid", "lpips-vgg"} <= entries.keys()
    scenes = {name: item for name, item in entries.items() if name.startswith("pggan-lsun-")}
    assert len(scenes) == len({item.file for item in scenes.values()}) == 10
    for item in entries.values():
        assert item.licence and item.citation and item.title
        assert item.converter in CONVERTERS
        assert len(item.sha256) == (64 if item.embedded else 0)
        if item.source.startswith("page:") or item.converter == "generator":  # no hashes, never downloaded by us
            assert item.source.startswith(("page:https://", "https://"))
            continue
        assert item.size_bytes > 0
        if item.in_package:
            assert item.path.is_file()
            continue
        assert item.download_bytes > 0
        assert len(item.file_sha256) == (64 if item.embedded else 8)
        if not item.embedded:
            assert item.file_sha256 in item.file  # the publisher's prefix
            assert item.source.endswith("/" + item.file)


def test_fetch_converts_and_pins_the_first_hash(world):
    assert weights.state(world) == "missing"
    path = weights.path("toy")
    assert weights.state(world) == "here"
    assert path == weights.folder() / "toy.safetensors"
    assert list(load_file(path)) == ["features.0.weight"]
    assert torch.equal(load_file(path)["features.0.weight"], STATE["features.0.weight"])
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"input": "torchvision-rgb"}
    assert json.loads(world.record_path.read_text())["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    visible = {p.name for p in weights.folder().iterdir() if not p.name.startswith(".")}
    assert visible == {"toy.json", "toy.safetensors"}


def test_a_damaged_file_is_refused_and_fetch_replaces_it(world):
    path = weights.path("toy")
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert weights.state(world) == "corrupt"
    with pytest.raises(weights.WeightsCorrupt) as error:
        weights.path("toy")
    assert "mgi weights fetch toy" in one_line(error)
    assert weights.fetch("toy").read_bytes() == good


def test_damage_that_keeps_the_time_stamp_is_found_by_verify(world):
    path = weights.path("toy")
    stamp = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    with pytest.raises(weights.WeightsCorrupt):
        weights.verify("toy")


def test_a_converted_file_without_its_record_is_not_trusted(world):
    weights.path("toy")
    world.record_path.unlink()
    assert weights.state(world) == "corrupt"
    with pytest.raises(weights.WeightsCorrupt, match=r"toy\.json"):
        weights.verify("toy")


def test_another_published_file_is_refused_before_it_is_opened(world, tmp_path, monkeypatch):
    (tmp_path / "mirror" / "toy.pth").write_bytes(b"\x80\x04cos\nsystem\n.")
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("opened a file with the wrong hash"))
    with pytest.raises(weights.WeightsCorrupt) as error:
        weights.path("toy")
    assert "expected" in one_line(error)
    assert weights.state(world) == "missing"


def test_a_file_of_another_kind_with_the_right_hash_is_one_line(world, tmp_path, monkeypatch):
    file = tmp_path / "mirror" / "toy.pth"
    torch.save({"optimizer": [1, 2]}, file)
    use(monkeypatch, toy(hashlib.sha256(file.read_bytes()).hexdigest()[:8]))
    with pytest.raises(weights.WeightsCorrupt) as error:
        weights.path("toy")
    assert "flat state dict" in one_line(error)


def test_a_conversion_that_differs_from_the_pinned_hash_is_refused(world, monkeypatch):
    use(monkeypatch, toy(world.file_sha256, sha256="0" * 64))
    with pytest.raises(weights.WeightsCorrupt, match="converter"):
        weights.path("toy")
    assert not world.path.exists()


def test_missing_weights_say_what_to_bring_and_where(world, tmp_path):
    (tmp_path / "mirror" / "toy.pth").unlink()
    with pytest.raises(weights.WeightsMissing) as error:
        weights.path("toy")
    text = one_line(error)
    for part in ("toy.pth", world.source, str(weights.folder()), "MGI_WEIGHTS_MIRROR", "mgi weights fetch toy"):
        assert part in text


def test_a_file_brought_by_hand_into_the_weights_folder_is_used_and_kept(world, tmp_path):
    weights.folder().mkdir()
    brought = weights.folder() / "toy.pth"
    (tmp_path / "mirror" / "toy.pth").rename(brought)
    assert weights.state(world) == "missing"
    weights.path("toy")
    assert brought.exists()


def test_unknown_names_list_the_known_ones(world):
    with pytest.raises(weights.WeightsError) as error:
        weights.path("nothing")
    assert "toy" in one_line(error)


def test_a_folder_that_cannot_be_written_is_one_line(world, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MGI_WEIGHTS_DIR", str(tmp_path / "file" / "weights"))
    with pytest.raises(weights.WeightsError) as error:
        weights.path("toy")
    assert "MGI_WEIGHTS_DIR" in one_line(error)


def test_a_full_disk_leaves_no_file(world, monkeypatch):
    def full(path, tensors, metadata):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mgi.weights.install.write_safetensors", full)
    with pytest.raises(weights.WeightsError) as error:
        weights.path("toy")
    assert "No space left" in one_line(error)
    assert [p.name for p in weights.folder().iterdir()] == [".toy.lock"]


def test_many_processes_fetch_once(world):
    """Threads would share the memo of hashes, so real processes; fork keeps the toy catalogue."""
    context = multiprocessing.get_context("fork")
    with context.Pool(3) as pool:
        paths = pool.map(weights.path, ["toy"] * 6)
    assert set(paths) == {world.path}
    assert weights.state(world) == "here"


def test_canonical_files_are_byte_identical_whatever_the_order(tmp_path):
    a = {"b": np.ones((2, 3), np.float32), "a": np.arange(4, dtype=np.int64), "c": np.zeros((), np.float16)}
    write_safetensors(tmp_path / "1", a, {"x": "1", "y": "2"})
    write_safetensors(tmp_path / "2", dict(reversed(a.items())), {"y": "2", "x": "1"})
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    loaded = load_file(tmp_path / "1")
    assert all(np.array_equal(loaded[name].numpy(), value) for name, value in a.items())


def test_offline_reads_the_usual_spellings(monkeypatch):
    for text, expected in (("1", True), ("true", True), ("", False), ("0", False), ("No", False)):
        monkeypatch.setenv("MGI_OFFLINE", text)
        assert download.offline() is expected


def test_nothing_is_left_to_do_on_a_read_only_folder(world, monkeypatch):
    path = weights.path("toy")
    monkeypatch.setattr("filelock.FileLock", lambda *a: pytest.fail("a lock was taken"))
    assert weights.fetch("toy") == path == weights.path("toy")


def test_a_page_is_not_downloaded_but_named(world, monkeypatch):
    monkeypatch.delenv("MGI_OFFLINE")
    monkeypatch.delenv("MGI_WEIGHTS_MIRROR")
    use(monkeypatch, toy("", source="page:https://example.invalid/models", file="toy.pkl"))
    with pytest.raises(weights.WeightsMissing) as error:
        weights.fetch("toy")
    assert "needs a person with a browser" in one_line(error)
    assert "put toy.pkl (from https://example.invalid/models) into" in one_line(error)


def test_a_generator_brought_by_hand_is_converted_and_pinned(world, monkeypatch, tmp_path):
    golden = Path(__file__).parents[1] / "golden" / "stylegan2_genforce.pth"
    (tmp_path / "mirror" / "g.pth").write_bytes(golden.read_bytes())
    use(
        monkeypatch,
        toy("", name="g", kind="generator", source="page:https://x.invalid", file="g.pth", converter="generator"),
    )
    path = weights.fetch("g")
    assert weights.verify("g") == path
    z = torch.randn(1, 24, generator=torch.Generator().manual_seed(0))
    assert torch.equal(load_generator("g")(z), load_generator(golden)(z))
