"""What a configuration asks of its generator."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mgi.config import ConfigError
from mgi.profiles import load_config
from mgi.translators.inversion.comparison import working_size
from mgi.translators.inversion.generator import prepared_generator, searching_generator

GOLDEN = Path(__file__).parents[1] / "golden"


def test_a_generator_without_bf16_says_so() -> None:
    styled = {"generator": str(GOLDEN / "stylegan2_genforce.pth"), "inversion.precision": "bf16"}
    with pytest.raises(ConfigError, match=r"computes in fp32 only; set inversion\.precision to fp32"):
        prepared_generator(load_config("quick", styled), "cpu")
    pggan = {"generator": str(GOLDEN / "pggan_mganprior.pth"), "inversion.precision": "bf16"}
    pggan["selection.layer"] = "relu2_2"  # at 32 rows the profile's layer has too few locations
    exact = prepared_generator(load_config("quick", pggan), "cpu")
    assert exact.weight0.dtype == torch.float32 and searching_generator(exact, "fp32") is exact
    assert searching_generator(exact, "bf16").weight0.dtype == torch.bfloat16 != exact.weight0.dtype
    automatic = styled | {"inversion.precision": "auto", "selection.layer": "relu2_2"}
    styled_generator = prepared_generator(load_config("quick", automatic), "cpu")
    assert searching_generator(styled_generator, "bf16") is styled_generator, "one that cannot stays as it is"


def test_a_layer_that_is_not_there_is_refused() -> None:
    deep = {"generator": str(GOLDEN / "pggan_mganprior.pth"), "inversion.hypotheses": ["L09N10"]}
    with pytest.raises(ConfigError, match="L09N10 does not fit"):
        prepared_generator(load_config("quick", deep), "cpu")


def test_sizes_must_divide() -> None:
    config = load_config("quick", {"warp.image_size": 128})
    assert working_size(config, 64) == 64 and working_size(config, 1024) == 128
    with pytest.raises(ConfigError, match="set it to 96 or half or twice that"):
        working_size(config, 96)
