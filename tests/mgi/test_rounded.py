"""8-bit weights: as near as 8 bits allow, floats once read, and refused where scales do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from tiny_mobile import tiny_mobile_state

from mgi.generators import GeneratorError, load_file
from mgi.generators.rounded import restored, rounded


@given(st.integers(1, 5), st.integers(1, 6), st.floats(1e-3, 1e3), st.integers(0, 99))
def test_rows_come_back_within_half_a_step(rows: int, columns: int, size: float, seed: int) -> None:
    weight = size * torch.randn(rows, columns, 3, generator=torch.Generator().manual_seed(seed))
    state = {"a": weight, "b": torch.ones(2)}
    packed = rounded(state, ["a"])
    assert packed["a"].dtype == torch.int8 and packed["a.scale"].shape == (rows,)
    found = restored(packed, "file")
    assert set(found) == {"a", "b"}
    step = weight.flatten(1).abs().amax(1) / 127
    assert ((found["a"] - weight).flatten(1).abs() <= 0.5 * step[:, None] * 1.2 + 1e-4).all()


def test_a_state_without_8_bits_is_left_alone() -> None:
    state = {"a": torch.ones(2, 2), "a.scale": torch.ones(3), "c": torch.ones(2, dtype=torch.int8)}
    assert restored(state, "file") == state


@pytest.mark.parametrize("scale", [torch.ones(15), torch.ones(16, 1), torch.ones(16, dtype=torch.int32)])
def test_scales_that_do_not_fit_are_refused(scale: torch.Tensor, tmp_path: Path) -> None:
    state = rounded(tiny_mobile_state(), ["synthesis.conv0.weight"]) | {"synthesis.conv0.weight.scale": scale}
    save_file(state, tmp_path / "odd.safetensors")
    with pytest.raises(GeneratorError, match="expected as many scales as rows"):
        load_file(tmp_path / "odd.safetensors")
