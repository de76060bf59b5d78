"""Snapshots as stylegan2-ada-pytorch writes them under Python 3.7 with torch 1.7, opcode for opcode, without either.

Every global is written by its old name, sets and bytes as protocols 2 and 3 write them, modules with the attributes of
torch 1.7, and storages in PyTorch's old file format, made here by hand.
"""

from __future__ import annotations

import collections
import io
import pickle
import struct
from typing import Any

import numpy as np
import torch
from places import GOLDEN

FLOAT = "torch.FloatStorage"
FILTER = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 64


# ---------------------------------------------------------------------- pickling under names of one's choice


class Name:
    """Pickles as the global `module.name`, whether or not there is one."""

    def __init__(self, written_as: str) -> None:
        self.written_as = written_as

    def __reduce__(self) -> str:
        return self.written_as

    def __call__(self, *_: Any) -> None:
        raise AssertionError("foreign code was run")


class Call:
    """Pickles as a call of the global `module.name`, or of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (Name(function) if isinstance(function, str) else function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


class EasyDict(dict[str, Any]):
    written_as = "dnnlib.util.EasyDict"


class Pickler(pickle._Pickler):  # type: ignore[name-defined]  # the one in Python, whose opcodes can be chosen
    def save_global(self, obj: Any, name: str | None = None) -> None:
        if not hasattr(obj, "written_as"):
            return super().save_global(obj, name)
        module, _, name = obj.written_as.rpartition(".")
        self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
        return self.memoize(obj)

    def persistent_id(self, obj: Any) -> Any:
        return obj.key if isinstance(obj, _Stored) else None


def dumps(content: Any, protocol: int) -> bytes:
    file = io.BytesIO()
    Pickler(file, protocol).dump(content)
    return file.getvalue()


# ---------------------------------------------------------------------- tensors as torch 1.7 pickles them


class _Stored:
    def __init__(self, *key: Any) -> None:
        self.key = key


def storage(array: np.ndarray, location: str = "cpu", kind: str = FLOAT, count: int | None = None) -> Call:
    """A storage of float32 numbers in the old file format; `count` is the length that it announces."""
    count = array.size if count is None else count
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    parts: list[Any] = [0x1950A86A20F9469CFC6C, 1001, system]
    parts += [_Stored("storage", Name(kind), "94001", location, count, None), ["94001"]]
    data = b"".join(dumps(part, 2) for part in parts) + struct.pack("<q", count)
    return Call("torch.storage._load_from_bytes", data + np.ascontiguousarray(array, "<f4").tobytes())


def tensor(array: np.ndarray, location: str = "cpu", kind: str = FLOAT, last: bool = False) -> Call:
    """A tensor; `last`: with its channels last in memory."""
    stored = array.transpose(0, 2, 3, 1) if last else array
    strides = [step // 4 for step in stored.copy().strides]
    if last:
        strides = [strides[0], strides[3], strides[1], strides[2]]
    return Call(
        "torch._utils._rebuild_tensor_v2",
        storage(stored, location, kind),
        0,
        tuple(array.shape),
        tuple(strides),
        False,
        collections.OrderedDict(),
    )


def number(value: float) -> Call:
    """A float64 of the numpy of that time."""
    return Call("numpy.core.multiarray.scalar", np.dtype("f8"), struct.pack("<d", value))


# ---------------------------------------------------------------------- modules


class Module:
    """A persistent module: attributes of torch 1.7's Module, and a source that must never run."""

    def __init__(self, class_name: str, source: str = "raise SystemExit('foreign code was run')") -> None:
        self.class_name, self.source = class_name, source
        hooks = ("backward_hooks", "forward_hooks", "forward_pre_hooks", "state_dict_hooks")
        self.state: dict[str, Any] = {
            "training": False,
            "_parameters": collections.OrderedDict(),
            "_buffers": collections.OrderedDict(),
            "_non_persistent_buffers_set": set(),
            **{f"_{name}": collections.OrderedDict() for name in hooks},
            "_modules": collections.OrderedDict(),
            "_init_args": (),
            "_init_kwargs": EasyDict(class_name=class_name, w_dim=8),
        }

    def child(self, name: str) -> Module:
        """The module of a dotted name, made where it is missing."""
        first, _, rest = name.partition(".")
        child = self.state["_modules"].setdefault(first, Module("Layer", self.source))
        return child.child(rest) if rest else child

    def put(self, key: str, value: Any) -> None:
        """A tensor under its dotted name: noise, means and filters are buffers, everything else is a parameter."""
        path, _, name = key.rpartition(".")
        state = (self.child(path) if path else self).state
        if name in ("noise_const", "w_avg", "resample_filter"):
            state["_buffers"][name] = value
        else:
            arguments = value, False, collections.OrderedDict()
            state["_parameters"][name] = Call("torch._utils._rebuild_parameter", *arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        meta = {"type": "class", "version": 6, "module_src": self.source, "class_name": self.class_name}
        rebuild = Name("torch_utils.persistence._reconstruct_persistent_obj")
        return rebuild, (meta | {"state": self.state},), None


def generator(
    tensors: dict[str, np.ndarray],
    *,
    conv_clamp: float | None = None,
    activation: str = "lrelu",
    rate: float = 0.01,
    source: str = "raise SystemExit('foreign code was run')",
    location: str = "cpu",
    kind: str = FLOAT,
    last: bool = False,
) -> Module:
    """A generator of these tensors, with the attributes that its code computes with."""
    root = Module("Generator", source)
    for key, array in tensors.items():
        root.put(key, tensor(array, location, kind, last=last and array.ndim == 4))
        path, _, name = key.rpartition(".")
        if name != "weight":
            continue
        state = root.child(path).state
        if array.ndim == 2:
            mapping = path.startswith("mapping.fc")
            state |= {"activation": activation if mapping else "linear", "bias_gain": rate if mapping else 1}
            state["weight_gain"] = number(state["bias_gain"] / np.sqrt(array.shape[1]))
        else:
            state |= {"conv_clamp": conv_clamp, "act_gain": number(np.sqrt(2)), "padding": array.shape[2] // 2}
            state |= {"activation": activation, "use_noise": True, "up": 2 if path.endswith("conv0") else 1}
    return root


def snapshot(ema: Any) -> dict[str, Any]:
    """What the training loop dumps."""
    others = {key: generator({"b4.conv.weight": np.zeros((2, 2, 3, 3), np.float32)}) for key in ("G", "D")}
    return {"training_set_kwargs": EasyDict(path="/data/faces.zip", use_labels=False), **others, "G_ema": ema}


# ---------------------------------------------------------------------- tensors of small generators


def random_tensors(architecture: str = "skip", labels: int = 0, noise: bool = True) -> dict[str, np.ndarray]:
    """A generator of 16 x 16 images, z, w and channels of 8, from numpy's seed 0."""
    shapes: dict[str, tuple[int, ...]] = {"synthesis.b4.const": (8, 4, 4), "mapping.w_avg": (8,)}
    for layer, width in ((0, 16 if labels else 8), (1, 8)):
        shapes |= {f"mapping.fc{layer}.weight": (8, width), f"mapping.fc{layer}.bias": (8,)}
    if labels:
        shapes |= {"mapping.embed.weight": (8, labels), "mapping.embed.bias": (8,)}
    for size in (4, 8, 16):
        kinds = ["conv1"] if size == 4 else ["conv0", "conv1"]
        for kind in kinds + (["torgb"] if size == 16 or architecture == "skip" else []):
            prefix, out = f"synthesis.b{size}.{kind}", 3 if kind == "torgb" else 8
            shapes[f"{prefix}.weight"] = (out, 8, 1, 1) if kind == "torgb" else (8, 8, 3, 3)
            shapes[f"{prefix}.bias"] = (out,)
            shapes |= {f"{prefix}.affine.weight": (8, 8), f"{prefix}.affine.bias": (8,)}
            if noise and kind != "torgb":
                shapes |= {f"{prefix}.noise_const": (size, size), f"{prefix}.noise_strength": ()}
        if architecture == "resnet" and size > 4:
            shapes[f"synthesis.b{size}.skip.weight"] = (8, 8, 1, 1)
    random = np.random.default_rng(0)
    made = {key: random.standard_normal(shape).astype(np.float32) for key, shape in sorted(shapes.items())}
    filters = {key[: -len(".weight")] for key in made if key.endswith(("conv0.weight", "conv1.weight"))}
    filters |= {f"synthesis.b{size}" for size in (4, 8, 16)}
    return made | {f"{module}.resample_filter": FILTER for module in sorted(filters)}


def golden_tensors() -> dict[str, np.ndarray]:
    """rosinality's golden generator, whose images are known, under the names of stylegan2-ada-pytorch."""
    checkpoint = torch.load(GOLDEN / "stylegan2_rosinality.pth", weights_only=True)
    old, new = checkpoint["g_ema"], {"mapping.w_avg": checkpoint["latent_avg"]}
    depth = sum(key.startswith("style.") and key.endswith("weight") for key in old)
    for i in range(depth):
        new |= {f"mapping.fc{i}.{kind}": old[f"style.{i + 1}.{kind}"] for kind in ("weight", "bias")}
    new["synthesis.b4.const"] = old["input.input"][0]
    sizes = [4, 8, 16, 32]
    convolutions = [("b4.conv1", "conv1")]
    for number, size in enumerate(sizes[1:]):
        convolutions += [(f"b{size}.conv{j}", f"convs.{2 * number + j}") for j in (0, 1)]
    for number, (there, here) in enumerate(convolutions):
        new[f"synthesis.{there}.weight"] = old[f"{here}.conv.weight"][0]
        new[f"synthesis.{there}.affine.weight"] = old[f"{here}.conv.modulation.weight"]
        new[f"synthesis.{there}.affine.bias"] = old[f"{here}.conv.modulation.bias"]
        new[f"synthesis.{there}.bias"] = old[f"{here}.activate.bias"]
        new[f"synthesis.{there}.noise_strength"] = old[f"{here}.noise.weight"][0]
        new[f"synthesis.{there}.noise_const"] = old[f"noises.noise_{number}"][0, 0]
    for number, size in enumerate(sizes):
        here = f"to_rgbs.{number - 1}" if number else "to_rgb1"
        new[f"synthesis.b{size}.torgb.weight"] = old[f"{here}.conv.weight"][0]
        new[f"synthesis.b{size}.torgb.bias"] = old[f"{here}.bias"].flatten()
        for kind in ("weight", "bias"):
            new[f"synthesis.b{size}.torgb.affine.{kind}"] = old[f"{here}.conv.modulation.{kind}"]
    return {key: value.contiguous().numpy() for key, value in new.items()}
