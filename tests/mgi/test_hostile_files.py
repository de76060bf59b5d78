"""Files that try to run code, fill the memory or read beyond themselves: each is refused in one line."""

from __future__ import annotations

import collections
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mgi.generators import GeneratorError, load_file

# Pickling a tensor as NVIDIA does goes through PyTorch's old storages.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")

GOLDEN = Path(__file__).parents[1] / "golden"


class Calls:
    """Pickles as a call of any function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def hostile(folder: Path) -> dict[str, tuple[bytes, str]]:
    """{name: (content, part of the message)}."""
    order = f"touch {folder / 'owned'}"
    storage = torch.zeros(4).storage()
    good = pickle.dumps({"G_ema": torch.zeros(4)})
    nested = pickle.dumps({"G_ema": Calls(torch.storage._load_from_bytes, pickle.dumps(Calls(os.system, order)))})
    objects = np.empty(1, object)
    objects[0] = Calls(os.system, order)
    short = np.zeros(8, np.float32).__reduce__()
    rebuild = torch._utils._rebuild_tensor_v2
    hooks = collections.OrderedDict()
    return {
        "system.pkl": (pickle.dumps(Calls(os.system, order)), "asks for posix.system"),
        "eval.pkl": (pickle.dumps(Calls(eval, f"__import__('os').system({order!r})")), "asks for builtins.eval"),
        "getattr.pkl": (pickle.dumps(Calls(getattr, {}, "get")), "asks for builtins.getattr"),
        "nested.pkl": (nested, "storage that is more than numbers"),
        "huge.pkl": (
            pickle.dumps(Calls(rebuild, storage, 0, (10**6, 10**6), (0, 0), False, hooks)),
            "over 4 numbers",
        ),
        "outside.pkl": (pickle.dumps(Calls(rebuild, storage, 3, (2, 2), (2, 1), False, hooks)), "over 4 numbers"),
        "negative.pkl": (pickle.dumps(Calls(rebuild, storage, 0, (-2, -2), (2, 1), False, hooks)), "negative extent"),
        "objects.pkl": (pickle.dumps({"G_ema": objects}, protocol=2), "objects, expected numbers"),
        "short.pkl": (
            pickle.dumps({"a": _ArrayOf(short, (1, (10**9,), np.dtype(np.float32), False, b"1234"))}),
            "bytes do not fit its shape",
        ),
        "truncated.pkl": (good[: len(good) // 2], "damaged pickle"),
        "empty.pkl": (b"", "damaged pickle"),
        "system.pth": (pickle.dumps(Calls(os.system, order)), "damaged or not a plain"),
    }


class _ArrayOf:
    def __init__(self, reduced: tuple[Any, ...], state: Any) -> None:
        self.reduced = (reduced[0], reduced[1], state)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


def test_hostile_files_are_refused(tmp_path: Path) -> None:
    for name, (content, message) in hostile(tmp_path).items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(GeneratorError) as caught:
            load_file(path)
        assert message in str(caught.value), (name, str(caught.value))
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "owned").exists(), name


def test_compressed_archives_are_refused(tmp_path: Path) -> None:
    plain, bomb = tmp_path / "plain.pth", tmp_path / "bomb.pth"
    torch.save(torch.load(GOLDEN / "pggan_mganprior.pth", weights_only=True), plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    with pytest.raises(GeneratorError, match="compressed archive"):
        load_file(bomb)
