"""Small files that would fill the memory and large ones with little in them: each is refused by name, at once."""

from __future__ import annotations

import collections
import io
import os
import pickle
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mgi.generators import GeneratorError, load_file

# Pickling a tensor as NVIDIA does goes through PyTorch's old storages.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated", "ignore:Sparse CSR tensor support")

GOLDEN = Path(__file__).parents[1] / "golden" / "pggan_mganprior.pth"
LAYER = "layer0.conv.weight"
MB = 2**20


class Calls:
    """Pickles as a call of any function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def refused(path: Path, peak: int = 128 * MB) -> str:
    """The one line that a file is refused with, within bytes that Python allocates."""
    tracemalloc.start()
    try:
        with pytest.raises(GeneratorError) as caught:
            load_file(path)
        assert tracemalloc.get_traced_memory()[1] < peak
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value) and path.name in str(caught.value)
    return str(caught.value)


def saved(content: Any, legacy: bool = False) -> bytes:
    data = io.BytesIO()
    torch.save(content, data, _use_new_zipfile_serialization=not legacy)
    return data.getvalue()


def deflated(archive: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as source, zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    return data.getvalue()


def test_a_compressed_archive_in_a_pickle(tmp_path: Path) -> None:
    path = tmp_path / "nested.pkl"
    bomb = Calls(torch.storage._load_from_bytes, deflated(saved(torch.zeros(64 * MB // 4).storage())))
    path.write_bytes(pickle.dumps({"G_ema": bomb}))
    assert path.stat().st_size < MB
    assert "more than numbers" in refused(path)


@pytest.mark.parametrize("kind", ["storage", "array", "text", "set"])
def test_one_piece_named_a_thousand_times(tmp_path: Path, kind: str) -> None:
    """1.05 MB of a storage became 1 GB: each of a thousand calls made its own copy of the same bytes."""
    path = tmp_path / "many.pkl"
    array, bytes_ = np.zeros(1).__reduce__(), b"\0" * MB  # type: ignore[call-overload]
    items = [f"name {number}" for number in range(10_000)]
    piece = {
        "storage": (torch.storage._load_from_bytes, saved(torch.zeros(MB // 4).storage(), legacy=True)),
        "array": (array[0], *array[1]),
        "text": (__import__("_codecs").encode, "\0" * MB, "latin1"),
        "set": (set, items),
    }[kind]
    state = (1, (MB // 4,), np.dtype(">f4"), False, bytes_)
    made = [_WithState(piece, state) if kind == "array" else Calls(*piece) for _ in range(1000)]
    path.write_bytes(pickle.dumps({"G_ema": made}))
    assert path.stat().st_size < 2 * MB
    assert "far more bytes than it has" in refused(path)


class _WithState:
    def __init__(self, piece: tuple[Any, ...], state: Any) -> None:
        self.piece, self.state = piece, state

    def __reduce__(self) -> tuple[Any, ...]:
        return self.piece[0], self.piece[1:], self.state


def test_an_archive_whose_files_share_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "overlap.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data/0", b"\0" * MB)
        for number in range(1, 100):
            archive.filelist.append(archive.filelist[0])
            archive.NameToInfo[f"a/data/{number}"] = archive.filelist[0]
        archive._didModify = True  # type: ignore[attr-defined]
    assert "share their bytes" in refused(path)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kind", ["stride-0", "meta", "sparse", "compressed"])
def test_tensors_that_are_not_their_numbers(tmp_path: Path, kind: str, legacy: bool) -> None:
    path, state = tmp_path / "odd.pth", torch.load(GOLDEN, weights_only=True)
    layer = state[LAYER]
    state[LAYER] = {
        "stride-0": lambda: torch.zeros(1).expand(layer.shape),
        "meta": lambda: torch.empty(layer.shape, device="meta"),
        "sparse": lambda: layer.to_sparse(),
        "compressed": lambda: layer.flatten(1).to_sparse_csr(),
    }[kind]()
    path.write_bytes(saved(state, legacy))
    assert f"{LAYER} is a {kind.replace('compressed', 'sparse')} tensor" in refused(path)


def test_an_expanded_tensor_in_a_pickle(tmp_path: Path) -> None:
    path, rebuild = tmp_path / "odd.pkl", torch._utils._rebuild_tensor_v2
    arguments = (torch.zeros(16).storage(), 0, (4, 4), (0, 1), False, collections.OrderedDict())
    path.write_bytes(pickle.dumps({"G_ema": Calls(rebuild, *arguments)}))
    assert "a stride-0 tensor of shape [4, 4]" in refused(path)


def with_tail(path: Path, head: bytes, size: int) -> Path:
    """A file that begins with `head`, zeros after that; it takes no space."""
    path.write_bytes(head)
    os.truncate(path, size)
    return path


LEGACY = saved({"a": torch.zeros(1)}, legacy=True)
HEADS = {
    "line.pkl": b"cos\n",
    "first.pkl": b"c",
    "text.pkl": b"(dV",
    "bytes.pkl": b"\x80\x04\x8e" + (3 * 2**30).to_bytes(8, "little"),
    "frame.pkl": b"\x80\x04\x95" + (3 * 2**30).to_bytes(8, "little"),
    "legacy.pth": LEGACY[: LEGACY.index(b"ctorch")] + b"c",
    "plain.pth": GOLDEN.read_bytes()[:1000],
    "zeros.pth": b"",
    "zeros.pkl": b"",
    "header.safetensors": (100).to_bytes(8, "little") + b"{",
}


@pytest.mark.parametrize("name", HEADS)
def test_a_tail_of_zeros_is_not_read(tmp_path: Path, name: str) -> None:
    """4 GiB may be a checkpoint, 20 GiB may not."""
    refused(with_tail(tmp_path / name, HEADS[name], 4 * 2**30), peak=600 * MB)
    assert "more than any checkpoint" in refused(with_tail(tmp_path / name, HEADS[name], 20 * 2**30))
