"""Every profile with every method on every shipped generator: it takes two steps, or is refused before the first.

Networks that no package carries are stand-ins of true size (`standins`). Combinations that give the same configuration
are computed once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from standins import MAKERS, weights_folder
from torch import Tensor

from mgi.config import METHODS, ConfigError, RunConfig
from mgi.inversion.solver import Solver
from mgi.inversion.spaces import base as spaces
from mgi.pairs import Hypothesis
from mgi.profiles import load_config
from mgi.translators import Lane, LaneResult, Searches, load_translator
from mgi.translators.inversion import engine as engines
from mgi.translators.inversion import generator as loading
from mgi.translators.inversion import lanes
from mgi.translators.inversion.compatibility import facts_of, problems
from mgi.translators.networks import fetch_all
from mgi.weights import WeightsMissing, path

pytestmark = pytest.mark.slow

PROFILES = ("quick", "embedded", "paper-celebahq", "paper-ffhq")
GENERATORS = ("own", "kaokore", "mobile-stylegan-ffhq")
OWN = dict(
    zip(PROFILES, ("kaokore-64", "mobile-stylegan-ffhq", "pggan-celebahq-1024", "stylegan-ffhq-1024"), strict=True)
)
WITHOUT_STYLES = ("kaokore", "pggan-celebahq-1024")
OF_STYLES = ("image2stylegan", "stylegan2-projector")
ALL = list(itertools.product(PROFILES, ("default", *METHODS), GENERATORS))
LARGE = {
    case for case in ALL if case[0].startswith("paper") and case[2] == "own" and case[1] not in ("default", "pulse")
}
"""Seven seconds each, on stand-ins of true size; the cases beside them take the same paths on smaller networks."""
CASES = [pytest.param(*case, marks=pytest.mark.long) if case in LARGE else case for case in ALL]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Stand-ins, a domain of three pictures, networks that are loaded once; returns the folder of the domain."""
    try:
        path("vgg16-imagenet")
        path("mobile-stylegan-ffhq")
    except WeightsMissing as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("matrix")
    (folder / "domain").mkdir()
    for number in range(3):
        Image.fromarray(picture(number)).save(folder / "domain" / f"{number}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MGI_WEIGHTS_DIR", str(weights_folder(folder / "weights", *MAKERS)))
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setenv("MGI_OFFLINE", "1")
        patch.setattr(loading, "load_generator", lru_cache(loading.load_generator))
        patch.setattr(engines, "load_backbone", lru_cache(engines.load_backbone))
        patch.setattr(loading, "PRIOR_SAMPLES", 2000)
        patch.setattr(spaces, "MEAN_SAMPLES", 500)
        # Measuring a lane before and after takes two more renders, by the code that renders the steps.
        patch.setattr(lanes, "_image", grey)
        yield folder / "domain"
    two_steps.cache_clear()


def picture(seed: int) -> np.ndarray:
    """Coarse noise, uint8 [256, 256, 3]."""
    coarse = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((256, 256), Image.Resampling.BICUBIC))


def grey(engine: Any, state: object, latents: object) -> Tensor:
    """Stands in for a lane's image before and after its steps."""
    shades = torch.linspace(-1, 1, engine.size)
    return shades.expand(1, 3, engine.size, -1).contiguous()


def configuration(profile: str, method: str, generator: str, domain: Path) -> RunConfig:
    """The combination with two steps, one of them coarse if there is a coarse head, and at most two codes."""
    chosen = None if method == "default" else method
    few: dict[str, Any] = {"inversion.steps": 2, "inversion.coarse_steps": 1, "align.mode": "never"}
    few |= {"selection.domain": str(domain), "selection.domain_samples": 16}
    if generator != "own":
        few["generator"] = generator
    first = load_config(profile, few, chosen).inversion.all_hypotheses()[0]
    one = Hypothesis(first.composing_layer, min(2, first.num_codes))
    return load_config(profile, {**few, "inversion.hypotheses": [one.id]}, chosen)


def refused(profile: str, method: str, generator: str) -> bool:
    """What must be refused: methods that need styles if there are none, and a score without locations to compare."""
    name = OWN[profile] if generator == "own" else generator
    return (method in OF_STYLES and name in WITHOUT_STYLES) or (profile == "embedded" and name == "kaokore")


@lru_cache
def two_steps(config: RunConfig) -> tuple[Searches, LaneResult]:
    fetch_all(config)
    method = load_translator(config)
    size = method.picture_size
    seen = np.asarray(Image.fromarray(picture(9)).resize((size, size)))
    (hypothesis,) = config.inversion.all_hypotheses()
    (result,) = method.invert([Lane("a", seen, hypothesis, seed=1)])
    return method, result


@pytest.mark.parametrize(("profile", "method", "generator"), CASES)
def test_it_takes_two_steps_or_is_refused_before_the_first(
    world: Path, monkeypatch: pytest.MonkeyPatch, profile: str, method: str, generator: str
) -> None:
    # The profile's name is the only difference between combinations that give the same configuration.
    config = configuration(profile, method, generator, world).model_copy(update={"profile": "matrix"})
    facts = facts_of(loading.load_generator(config.generator), config.generator)
    assert bool(problems(config, facts)) == refused(profile, method, generator)
    if refused(profile, method, generator):
        monkeypatch.setattr(Solver, "advance", lambda *_: pytest.fail("a step was taken"))
        with pytest.raises(ConfigError, match=r"no latent space w|locations"):
            two_steps(config)
        return
    made, result = two_steps(config)
    assert result.failed is None
    assert result.measures["steps"] == 2 and result.measures["coarse_steps"] in (0, 1)
    assert np.isfinite(result.arrays["loss"]).all()
    announced = made.lane_arrays(config.inversion.all_hypotheses()[0])
    assert {name: (array.shape, str(array.dtype)) for name, array in result.arrays.items()} == announced
