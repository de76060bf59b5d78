"""Every method on real weights and a real picture, with few steps: closer to its target than at the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from places import EXAMPLES

from mgi.alignment.aligner import Aligner
from mgi.config import METHODS
from mgi.generators import GeneratorError
from mgi.pairs import lane_seed
from mgi.profiles import load_config
from mgi.translators import Lane, Searches, load_translator
from mgi.weights import WeightsMissing, path

PAINTING = EXAMPLES / "exemplars" / "kaokore-00007733.jpg"
FACE = EXAMPLES / "sources" / "generated-a.jpg"

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def weights() -> None:
    try:
        for name in ("mobile-stylegan-ffhq", "vgg16-imagenet", "mtcnn-faces"):
            path(name)
    except WeightsMissing as error:
        pytest.skip(str(error))


def invert(profile: str, method: str, picture: Path, **settings: Any) -> tuple[Searches, list[Any]]:
    overrides = {f"inversion.{key}": value for key, value in settings.items()}
    chosen = load_translator(load_config(profile, {"task": "invert", "align.mode": "never", **overrides}, method))
    aligned, _ = Aligner(chosen.config.align, chosen.picture_size)(np.asarray(Image.open(picture).convert("RGB")), "it")
    seen = chosen.observe(aligned, seed=1)
    whole = aligned if settings.get("degradation", "none") != "none" else None
    lanes = [
        Lane("picture", seen.warp, h, lane_seed(0, "picture", h.id), whole, 1) for group in chosen.groups for h in group
    ]
    return chosen, chosen.invert(lanes)


@pytest.mark.parametrize("method", [m for m in METHODS if m not in ("image2stylegan", "stylegan2-projector")])
def test_methods_that_need_no_styles_on_a_painting(method: str) -> None:
    more = {"hypotheses": ["L05N04"]} if method in ("mgi", "mganprior") else {}
    _, results = invert("quick", method, PAINTING, steps=8, **more)
    for result in results:
        assert result.failed is None
        assert result.measures["l2_after"] < 0.95 * result.measures["l2_before"]
        assert np.isfinite(result.arrays["loss"]).all()


@pytest.mark.parametrize("method", ["image2stylegan", "stylegan2-projector"])
def test_methods_of_w_say_that_a_generator_has_none(method: str) -> None:
    expected = "no latent space w" if method == "image2stylegan" else "has no noise|no latent space w"
    with pytest.raises((GeneratorError, ValueError), match=expected):
        load_translator(load_config("quick", {"task": "invert", "generator": "kaokore"}, method))


@pytest.mark.parametrize("method", ["image2stylegan", "stylegan2-projector", "pulse"])
def test_methods_of_styles_on_a_face(method: str) -> None:
    more = {"degradation": "down8"} if method == "pulse" else {}
    chosen, (result,) = invert("embedded", method, FACE, steps=5, coarse_steps=4, **more)
    assert result.failed is None
    assert result.measures["coarse_steps"] == (0 if method == "stylegan2-projector" else 4), (
        "the head needs stored noise"
    )
    assert result.measures["vgg_after"] < result.measures["vgg_before"]
    hypothesis = chosen.groups[0][0]
    picture = chosen.render(result.arrays, hypothesis)
    assert picture.shape == (1024, 1024, 3) and picture.std() > 20
    if method == "pulse":
        assert 5 < result.measures["true_psnr"] < 40


@pytest.mark.parametrize("degradation", ["down2", "gray", "mask", "rain"])
def test_degradations_on_a_painting(degradation: str) -> None:
    _, (result,) = invert(
        "quick", "mgi", PAINTING, steps=8, hypotheses=["L05N04"], degradation=degradation, snapshots=3
    )
    assert result.measures["l2_after"] < 0.95 * result.measures["l2_before"]
    assert result.measures["true_psnr"] > 8
    assert result.arrays["trajectory"].shape == (3, result.arrays["latents"].size)
    assert (result.arrays["trajectory"][0] != result.arrays["trajectory"][2]).any()


def test_rungs_change_nothing_for_who_survives() -> None:
    hypotheses = ["L04N04", "L05N04", "L06N06"]
    cold = {"steps": 6, "hypotheses": hypotheses, "warm_start": 0}
    _, whole = invert("quick", "mgi", PAINTING, **cold)
    chosen, halved = invert("quick", "mgi", PAINTING, **cold, rungs=["3:1"])
    finished = [number for number, result in enumerate(halved) if result.measures["finished"]]
    assert len(finished) == 1
    for number, (full, short) in enumerate(zip(whole, halved, strict=True)):
        assert short.measures["steps"] == (6 if number in finished else 3)
        np.testing.assert_allclose(short.arrays["loss"][:3], full.arrays["loss"][:3], rtol=1e-3)
    rows = [
        {"hypothesis": id, **result.measures, "spatial-fd": float(place), "sifid": 1.0, "paper": 1.0}
        for place, (id, result) in enumerate(zip(hypotheses, halved, strict=True))
    ]
    choice = chosen.select(rows)
    assert choice["hypothesis"] == hypotheses[finished[0]]
    assert len(choice["halved"]) == 2


def test_a_warm_start_ends_ahead_of_a_cold_one() -> None:
    hypotheses = ["L04N04", "L05N06"]
    _, (_, cold) = invert("quick", "mgi", PAINTING, steps=12, hypotheses=hypotheses, warm_start=0)
    chosen, (scout, warm) = invert("quick", "mgi", PAINTING, steps=12, hypotheses=hypotheses, warm_start=6)
    assert [len(group) for group in chosen.groups] == [2], "they are inverted by one call"
    assert scout.measures["steps"] == warm.measures["steps"] == 12
    assert warm.measures["loss"] < 0.99 * cold.measures["loss"]


@pytest.mark.parametrize(
    ("profile", "picture", "few"),
    [
        ("quick", PAINTING, {"steps": 6, "hypotheses": ["L05N04"]}),
        ("embedded", FACE, {"steps": 4, "coarse_steps": 2, "hypotheses": ["L06N04"]}),
    ],
)
def test_bf16_follows_fp32_within_two_percent(profile: str, picture: np.ndarray, few: dict[str, Any]) -> None:
    found = [invert(profile, "mgi", picture, precision=precision, **few) for precision in ("fp32", "bf16")]
    curves = [lanes[0].arrays["loss"] for _, lanes in found]
    np.testing.assert_allclose(curves[1], curves[0], rtol=0.02)
    assert (curves[0] != curves[1]).any()
    assert [lanes[0].measures["bits"] for _, lanes in found] == [32, 16]
    again = invert(profile, "mgi", picture, precision="bf16", **few)[1][0]
    assert all(np.array_equal(again.arrays[name], array) for name, array in found[1][1][0].arrays.items()), (
        "bit for bit"
    )
    for method, _ in found:  # results are rendered in fp32
        assert {tensor.dtype for tensor in method.engine.generator.state_dict().values()} <= {torch.float32, torch.long}
