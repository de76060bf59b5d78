"""A restoration network of the user's before an inversion: the "A+B" that UDA-inversion is compared with (Table IV).

Any ONNX file from pictures to pictures, such as GPEN or DFDNet exported: RGB float32 [1, 3, H, W] in [-1, 1] in, the
same out, at a size of its own. It runs in onnxruntime, which is an extra (`pip install 'mgi[restore]'`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mgi.config import ConfigError
from mgi.images import resize

KEY = "options.restore"


class Restorer:
    """Pictures [B, 3, S, S] in [-1, 1] -> restored ones [B, 3, R, R], clipped.

    Args:
        path: the ONNX file.

    Raises:
        ConfigError: onnxruntime is not installed, there is no such file, or it is no network of this kind.
    """

    def __init__(self, path: str | Path) -> None:
        file = Path(path).expanduser()
        try:
            import onnxruntime
        except ImportError:
            raise ConfigError(f"{KEY} needs the package onnxruntime; run `pip install 'mgi[restore]'`") from None
        if not file.is_file():
            raise ConfigError(f"{KEY}: expected an ONNX file, found no {file}")
        try:
            self._session: Any = onnxruntime.InferenceSession(file, providers=_providers(onnxruntime))
        except Exception as error:  # onnxruntime's own classes, which share no base
            raise ConfigError(f"{KEY}: {file} is no readable ONNX network ({_line(error)})") from None
        inputs = self._session.get_inputs()
        shape: list[Any] = inputs[0].shape if len(inputs) == 1 else []
        if len(shape) != 4 or shape[1] not in (3, None) or inputs[0].type != "tensor(float)":
            found = ", ".join(f"{one.name} {one.shape} {one.type}" for one in inputs)
            raise ConfigError(f"{KEY}: expected one input [1, 3, H, W] of float32, found {found}")
        self._name, self._rows = inputs[0].name, shape[2] if isinstance(shape[2], int) else 0

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Tensor:
        """Each by itself: exported networks often take one picture at a time."""
        found = [self._one(picture[None]) for picture in pictures]
        return torch.cat(found).to(pictures.device)

    def _one(self, picture: Tensor) -> Tensor:
        seen = resize(picture, self._rows) if self._rows else picture
        try:
            (first, *_) = self._session.run(None, {self._name: seen.cpu().numpy()})
        except Exception as error:
            raise ConfigError(
                f"{KEY}: the network cannot take pictures of {seen.shape[-1]} rows ({_line(error)})"
            ) from None
        if first.ndim != 4 or first.shape[1] != 3:
            raise ConfigError(f"{KEY}: expected pictures [1, 3, H, W] as its first output, found {list(first.shape)}")
        return torch.from_numpy(first).float().clamp(-1, 1)


def _providers(runtime: Any) -> list[str]:
    """CUDA's if it is there, else the CPU's."""
    return [
        name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in runtime.get_available_providers()
    ]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
