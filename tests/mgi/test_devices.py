"""Which arithmetic a setting means where."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch

from mgi.devices import native_bf16, working_precision


@pytest.mark.parametrize(
    ("units", "native"),
    [({}, False), ({"avx512_f": True}, False), ({"avx512_bf16": True}, True), ({"amx_bf16": True}, True)],
)
def test_a_processor_with_units_for_it_takes_bf16(
    monkeypatch: pytest.MonkeyPatch, units: Mapping[str, bool], native: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: units)
    assert native_bf16("cpu") is native
    assert working_precision("auto", "cpu") == ("bf16" if native else "fp32")
    assert working_precision("auto", "cpu", able=False) == working_precision("auto", "cuda:0") == "fp32"
    assert working_precision("bf16", "cpu") == "bf16" and working_precision("fp32", "cpu") == "fp32"
