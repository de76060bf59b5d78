"""Every name that the reader of pickles knows, abused: no code runs, no memory fills, and the reader stays as it is."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from snapshots import Call, EasyDict, Module, Name, dumps, generator, random_tensors, snapshot, storage, tensor

from mgi.generators import GeneratorError, load_file

FOUR = np.zeros(4, np.float32)
REBUILD = "torch._utils._rebuild_tensor_v2"


class Network:
    written_as = "dnnlib.tflib.network.Network"


def refused(path: Path, content: Any, protocol: int = 2) -> str:
    path.write_bytes(content if isinstance(content, bytes) else dumps(content, protocol))
    with pytest.raises(GeneratorError) as caught:
        load_file(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    return str(caught.value)


def zipped(compression: int) -> bytes:
    """A storage in PyTorch's new format, which could be a thousand times larger than its file."""
    plain, packed = io.BytesIO(), io.BytesIO()
    torch.save(torch.zeros(10**5), plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed, "w", compression) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    return packed.getvalue()


CALLS: dict[str, tuple[Any, str]] = {
    "bytes of a length": (Call("builtins.bytes", 10**12), "bytes from something else than nothing"),
    "bytearray of a length": (Call("builtins.bytearray", 10**12), "encodes something else than bytes"),
    "bytearray in Python 2": (Call("__builtin__.bytearray", 10**12), "encodes something else than bytes"),
    "encode": (Call("_codecs.encode", "x" * 9, "unicode_escape"), "encodes something else than bytes"),
    "set of a text": (Call("builtins.set", "abc"), "builds a set from something else than a list"),
    "set of lists": (Call("builtins.set", [[1], [2]]), "holds a set of things that no set can hold"),
    "frozenset of dicts": (Call("__builtin__.frozenset", [{}]), "holds a set of things that no set can hold"),
    "complex of a text": (Call("builtins.complex", "1" * 99), "complex number from something else than numbers"),
    "OrderedDict of a number": (Call("collections.OrderedDict", 10**12), "dictionary from something else than pairs"),
    "defaultdict of a number": (Call("collections.defaultdict", 7), "defaultdict with something else than a type"),
    "torch.Size of a number": (Call("torch.Size", 10**12), "torch.Size from something else than a list"),
    "list": (Call("builtins.list", "x" * 99), "calls builtins.list, which reading weights does not need"),
    "object": (Call("__builtin__.object"), "calls builtins.object, which reading weights does not need"),
    "dtype": (Call("torch.float32"), "calls torch.float32, which reading weights does not need"),
    "range": (Call("builtins.range", 10**12), "asks for builtins.range"),
    "getattr": (Call("__builtin__.getattr", EasyDict(), "clear"), "asks for builtins.getattr"),
    "reconstructed system": (Call("copy_reg._reconstructor", Name("posix.system"), 0, "id"), "asks for posix.system"),
    "reconstructed tensor": (
        Call("copyreg._reconstructor", Name("torch.storage._load_from_bytes"), Name("builtins.object"), b""),
        "reconstructs an object that is no container",
    ),
    "reconstructed number": (Call("copyreg._reconstructor", 3, Name("builtins.object"), None), "no container"),
    "new object": (Call("copyreg.__newobj__", Name("dnnlib.util.EasyDict")), "asks for copyreg.__newobj__"),
    "persistent": (Call("torch_utils.persistence._reconstruct_persistent_obj", 3), "persistent object without a class"),
    "array": (Call("numpy.core.numeric._frombuffer", b"1234", np.dtype("f4"), (10**9,), "C"), "do not fit its shape"),
    "number": (Call("numpy.core.multiarray.scalar", np.dtype("f8"), b"1"), "holds a number without a type"),
    "numbers": (Call("numpy.core.multiarray.scalar", np.dtype("f8"), b"1" * 800), "holds a number without a type"),
    "structure": (Call("numpy.dtype", "(100000,)f4"), "expected numbers"),
    "long numbers": (Call("numpy.dtype", "f16"), "expected numbers"),
    "parameter": (Call("torch._utils._rebuild_parameter", {}, False, {}), "parameter that is no tensor"),
    "stride of zero": (Call(REBUILD, storage(FOUR), 0, (10**9,), (0,), False, {}), "over 4 numbers"),
    "long storage": (storage(FOUR, count=10**9), "storage that is more than numbers"),
    "endless storage": (storage(FOUR, count=10**14), "storage that is more than numbers"),
    "compressed storage": (Call("torch.storage._load_from_bytes", zipped(zipfile.ZIP_DEFLATED)), "more than numbers"),
    "new storage": (Call("torch.storage._load_from_bytes", zipped(zipfile.ZIP_STORED)), "more than numbers"),
    "sparse": (Call("torch._utils._rebuild_sparse_tensor", None, ()), "sparse tensor, expected plain numbers"),
    "quantized": (Call("torch._utils._rebuild_qtensor", None), "quantized tensor, expected plain numbers"),
    "meta": (Call("torch._utils._rebuild_meta_tensor_no_storage", torch.float32, (10**9,), (0,), False), "meta tensor"),
    "nested": (Call("torch._utils._rebuild_nested_tensor", None), "nested tensor, expected plain numbers"),
}


@pytest.mark.parametrize("name", CALLS)
def test_abused_names_are_refused(name: str, tmp_path: Path) -> None:
    content, message = CALLS[name]
    for protocol in (2, 3, 4):
        assert message in refused(tmp_path / "network.pkl", {"G_ema": content}, protocol)


def test_code_inside_a_storage_does_not_run(tmp_path: Path) -> None:
    """The old format is five pickles: the object itself and the parts around it may each ask for more."""
    order = Call(os.system, f"touch {tmp_path / 'owned'}")
    attack, magic, version = dumps(order, 2), pickle.dumps(0x1950A86A20F9469CFC6C, 2), pickle.dumps(1001, 2)
    for parts in ((magic, attack), (magic, version, attack), (magic, version, dumps({}, 2), attack)):
        content = Call("torch.storage._load_from_bytes", b"".join(parts))
        assert "storage that is more than numbers" in refused(tmp_path / "network.pkl", {"G_ema": content})
        for name in ("network.pkl", "network.pt"):
            refused(tmp_path / name, b"".join(parts))
    assert not (tmp_path / "owned").exists()


def test_the_reader_cannot_be_changed(tmp_path: Path) -> None:
    """Opcode BUILD sets attributes on whatever it finds; on a stand-in they would outlive the file."""
    state = dumps({"__doc__": "owned", "__defaults__": ("owned",)}, 2)[2:-1]
    known = (REBUILD, "dnnlib.util.EasyDict", "collections.OrderedDict", "builtins.list", "numpy.dtype")
    for name in (*known, Network.written_as):
        module, _, last = name.rpartition(".")
        content = b"\x80\x02" + f"c{module}\n{last}\n".encode() + b"N" + state + b"\x86b."
        message = refused(tmp_path / "network.pkl", content)
        assert "tries to change what reads it" in message or "damaged pickle" in message, name
    good = tmp_path / "good.pkl"
    good.write_bytes(dumps(snapshot(generator(random_tensors())), 2))
    assert load_file(good).resolution == 16


def test_what_reading_would_not_survive(tmp_path: Path) -> None:
    deep = b"\x80\x02})" + b"\x85" * 60_000 + b"Ns."  # hashing it, as a key, would end the process
    assert "tuples, more than any network" in refused(tmp_path / "network.pkl", deep)
    slots = b"\x80\x02}r" + struct.pack("<I", 10**7) + b"."
    assert "asks for 10000000 places of memory after" in refused(tmp_path / "network.pkl", slots)
    for opcode in (b"\x8e", b"\x8d", b"\x96", b"\x95"):  # bytes, text, bytearray, frame of 2 ** 60
        refused(tmp_path / "network.pkl", b"\x80\x05" + opcode + struct.pack("<Q", 2**60) + b"x.")
    assert "damaged pickle" in refused(tmp_path / "network.pkl", b"\x80\x02\x82\x01.")  # of copyreg's registry


def test_networks_that_contain_themselves(tmp_path: Path) -> None:
    """One object in two places could also mean 2 ** 40 names."""
    module = Module("Generator")
    module.state["_modules"]["synthesis"] = Module("Layer")
    module.state["_modules"]["mapping"] = module.state["_modules"]["synthesis"]
    assert "network.pkl holds one module in two places" in refused(tmp_path / "network.pkl", {"G_ema": module})
    network = Network()
    network.variables, network.components = [], EasyDict()
    network.components["synthesis"] = network
    assert "network.pkl holds one network in two places" in refused(tmp_path / "network.pkl", (None, None, network))
    state: dict[str, Any] = {}
    state["G_ema"] = state
    assert "holds no generator" in refused(tmp_path / "network.pkl", state)
    torch.save(state, tmp_path / "state.pt")
    with pytest.raises(GeneratorError, match="holds no generator"):
        load_file(tmp_path / "state.pt")


def test_networks_without_a_state(tmp_path: Path) -> None:
    new = b"\x80\x02cdnnlib.tflib.network\nNetwork\n)\x81."
    assert "unknown checkpoint layout" in refused(tmp_path / "network.pkl", new)
    network = Network()
    network.variables = [("lod", 10**400)]
    assert "a number too large for a network" in refused(tmp_path / "network.pkl", (None, None, network))


def test_names_of_tensors_stay_in_one_line(tmp_path: Path) -> None:
    module = Module("Generator")
    module.put("a\nb" * 1000, tensor(FOUR))
    assert "found a b" in refused(tmp_path / "network.pkl", {"G_ema": module})
    long = b"\x80\x04\x8cw" + b"a\n" * 59 + b"z" + b"\x8c\x01b\x93."
    assert "asks for a a" in refused(tmp_path / "network.pkl", long)


def test_tensors_of_a_state_dict_are_plain_and_no_larger_than_their_file(tmp_path: Path) -> None:
    state = {key: torch.from_numpy(array.copy()) for key, array in random_tensors().items()}
    key = "synthesis.b8.conv0.bias"
    for value, message in (
        (torch.zeros(1).expand(10**12), f"{key} is a stride-0 tensor"),
        (torch.zeros(4000).as_strided((2000, 2000), (1, 1)), "poses as"),
        (torch.eye(3).to_sparse(), f"{key} is a sparse tensor, expected plain numbers"),
        (torch.zeros(8, dtype=torch.complex64), f"{key} is a complex tensor"),
        (torch.zeros(8, device="meta"), f"{key} is a meta tensor"),
    ):
        torch.save({"G_ema": state | {key: value}}, tmp_path / "network.pt")
        with pytest.raises(GeneratorError, match=message):
            load_file(tmp_path / "network.pt")
    shared = storage(np.zeros(10**4, np.float32))
    module = Module("Generator")
    for layer in range(99):
        module.put(f"mapping.fc{layer}.weight", Call(REBUILD, shared, 0, (100, 100), (100, 1), False, {}))
    assert "poses as 3960000 bytes of tensors" in refused(tmp_path / "network.pkl", {"G_ema": module})
