"""Where to compute, and in which arithmetic, unless somebody says otherwise."""

from __future__ import annotations

from typing import Literal

Precision = Literal["fp32", "bf16"]


def best_device() -> str:
    """`cuda` if there is a GPU, else `cpu`; imports PyTorch."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def native_bf16(device: str) -> bool:
    """Whether bf16 halves the time of a step: on CPUs with AVX512-BF16 or AMX, which multiply it natively.

    Others emulate it and take three times as long as in fp32; a GPU's lane is bound by starting kernels, not by them.
    """
    import torch

    units = ("avx512_bf16", "amx_bf16")
    return device.startswith("cpu") and any(torch.cpu.get_capabilities().get(unit) for unit in units)


def working_precision(asked: Literal["fp32", "bf16", "auto"], device: str, able: bool = True) -> Precision:
    """The arithmetic that a setting means on a device.

    Args:
        asked: `auto` is bf16 where the device computes it natively.
        device: of PyTorch.
        able: whether what computes can do it.
    """
    if asked == "auto":
        return "bf16" if able and native_bf16(device) else "fp32"
    return asked
