"""Every generator has what the protocols declare, called as they declare it; `is_styled` and so on tell which."""

import inspect
from pathlib import Path
from typing import Any

import pytest

from mgi import weights
from mgi.generators import Generator, StyledGenerator, has_bf16, is_styled, is_tapped, load_file
from mgi.generators.layouts.table import LAYOUTS
from mgi.generators.protocols import Bf16Generator, TappedGenerator

GOLDEN = Path(__file__).parents[1] / "golden"
PROTOCOLS: dict[str, list[Any]] = {
    "kaokore": [Generator, Bf16Generator],
    "stylegan_genforce.pth": [Generator, StyledGenerator],
    "stylegan2_genforce.pth": [Generator, StyledGenerator],
    "mobile-stylegan-ffhq": [Generator, StyledGenerator, TappedGenerator, Bf16Generator],
}


@pytest.fixture(scope="module", params=PROTOCOLS)
def case(request: pytest.FixtureRequest) -> tuple[Any, list[Any]]:
    try:
        name = request.param
        return (load_file(GOLDEN / name) if name.endswith(".pth") else weights.load_generator(name)), PROTOCOLS[name]
    except weights.WeightsMissing as error:
        pytest.skip(str(error))


def test_each_generator_has_all_members(case: tuple[Any, list[Any]]) -> None:
    generator, protocols = case
    for protocol in protocols:
        for name in protocol.__annotations__:
            assert isinstance(getattr(generator, name), int | str), f"{protocol.__name__}.{name}"
        for name, declared in vars(protocol).items():
            if name.startswith("_") or name in ("to", "state_dict"):  # these two are PyTorch's
                continue
            taken = inspect.signature(getattr(generator, name)).parameters.values()
            asked = list(inspect.signature(declared).parameters.values())[1:]
            for here, there in zip(taken, asked, strict=False):
                by_place = there.kind is inspect.Parameter.POSITIONAL_ONLY
                assert here.name == there.name or by_place, f"{protocol.__name__}.{name}"
                assert here.default == there.default, f"{protocol.__name__}.{name}"
            assert len(taken) >= len(asked), f"{protocol.__name__}.{name}"


def test_the_questions_tell_them_apart(case: tuple[Any, list[Any]]) -> None:
    generator, protocols = case
    assert is_styled(generator) == (StyledGenerator in protocols)
    assert is_tapped(generator) == (TappedGenerator in protocols)
    assert has_bf16(generator) == (Bf16Generator in protocols)
    assert bool(generator.noise_shapes()) == is_styled(generator)


def test_every_layout_has_a_name_of_its_own() -> None:
    assert len({layout.name for layout in LAYOUTS}) == len(LAYOUTS)
