"""Directions: files that can and cannot be used, boundaries of known data, components of known distributions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from mgi.config import ConfigError
from mgi.directions import Direction, direction_bytes, read_direction, require_fit
from mgi.directions.boundary import PENALTY, fit_boundary, svm
from mgi.directions.ganspace import components, default_layer, top_coordinates
from mgi.generators import load_file

GOLDEN = Path(__file__).parents[1] / "golden"


def saved(path: Path, vector: object) -> Path:
    np.save(path, np.asarray(vector))
    return path


# ---------------------------------------------------------------------- files


@pytest.mark.parametrize("shape", [(8,), (1, 8), (3, 8)])
def test_reads_every_shape(tmp_path: Path, shape: tuple[int, ...]) -> None:
    vector = np.random.default_rng(0).standard_normal(shape)
    direction = read_direction(saved(tmp_path / "age.npy", vector))
    assert direction.name == "age" and direction.space is None
    assert direction.vector.shape == ((3, 8) if shape == (3, 8) else (8,))
    np.testing.assert_array_equal(direction.vector, np.squeeze(vector.astype(np.float32)))


@pytest.mark.parametrize(
    ("vector", "expected"),
    [
        (np.ones((2, 3, 4)), "shape 2x3x4"),
        (np.float64(1), "a single number"),
        (np.ones((1, 0)), "shape 1x0"),
        (np.ones(4, int), "holds int64"),
        (np.array([1.0, np.nan]), "NaN or infinity"),
        (np.array([1e300, 1.0]), "NaN or infinity"),
        (np.zeros(4), "zero everywhere"),
        (np.array([{}], object), "no .npy file of numbers"),
    ],
)
def test_refuses_in_one_line(tmp_path: Path, vector: np.ndarray, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected) as refused:
        read_direction(saved(tmp_path / "bad.npy", vector))
    assert "\n" not in str(refused.value)


def test_refuses_what_is_no_file_of_one_vector(tmp_path: Path) -> None:
    (tmp_path / "text.npy").write_text("not an array")
    np.savez(tmp_path / "several.npz", a=np.ones(3))
    (tmp_path / "several.npz").rename(tmp_path / "several.npy")
    for name, expected in (("none.npy", "does not exist"), ("text.npy", "no .npy"), ("several.npy", "no .npy")):
        with pytest.raises(ConfigError, match=expected):
            read_direction(tmp_path / name)
    with pytest.raises(ConfigError, match="is a folder"):
        read_direction(tmp_path)


def test_the_sidecar_says_the_space_and_is_believed(tmp_path: Path) -> None:
    path, beside = saved(tmp_path / "age.npy", np.ones(4)), tmp_path / "age.json"
    beside.write_text(json.dumps({"space": "w", "generator": "somebody"}))
    direction = read_direction(path)
    assert (direction.space, direction.generator) == ("w", "somebody")
    with pytest.raises(ConfigError, match="a direction in w, not in z"):
        read_direction(path, "z")
    for text in ("{", "[]", '{"space": "x"}'):
        beside.write_text(text)
        with pytest.raises(ConfigError, match="does not describe a direction"):
            read_direction(path)
    beside.unlink()
    assert read_direction(path, "z").space == "z"


def test_the_digest_is_of_the_files_bytes(tmp_path: Path) -> None:
    one, two = (read_direction(saved(tmp_path / "a.npy", np.full(4, value))) for value in (1.0, 2.0))
    assert one.digest != two.digest
    assert read_direction(tmp_path / "a.npy").digest == two.digest


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    vector = np.random.default_rng(0).standard_normal(8).astype(np.float32)
    (tmp_path / "a.npy").write_bytes(direction_bytes(vector))
    np.testing.assert_array_equal(read_direction(tmp_path / "a.npy").vector, vector)
    assert np.load(tmp_path / "a.npy").shape == (1, 8)


def test_fitting_the_generator() -> None:
    single, plus = Direction("d", np.ones(4, np.float32)), Direction("d", np.ones((3, 4), np.float32))
    require_fit(single, 4, 0, "z")
    require_fit(single, 4, 3, "w")
    require_fit(plus, 4, 3, "w")
    for direction, fit, expected in (
        (single, (5, 3, "w"), "has 4 dimensions, the generator of this run 5"),
        (plus, (4, 0, "z"), "one vector in z"),
        (plus, (4, 2, "w"), "for 3 styles, the generator of this run has 2"),
        (Direction("d", single.vector, "z"), (4, 3, "w"), "one in z, but the latents of this run move in w"),
    ):
        with pytest.raises(ConfigError, match=expected):
            require_fit(direction, *fit)  # type: ignore[arg-type]


# ---------------------------------------------------------------------- boundary


def labelled(count: int, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latents [n, 12] of unequal spread, a unit normal, and the side each is on (a fifth is positive)."""
    random = np.random.default_rng(3)
    latents = random.standard_normal((count, 12)) * np.linspace(0.2, 2, 12) + 5
    normal = random.standard_normal(12)
    normal /= np.linalg.norm(normal)
    along = (latents - 5) @ normal + noise * random.standard_normal(count)
    return latents, normal, along > np.quantile(along, 0.8)


def test_finds_the_boundary_of_separable_data() -> None:
    latents, normal, positive = labelled(2000)
    boundary = fit_boundary(latents, positive, penalty=1.0)
    assert np.linalg.norm(boundary.normal) == pytest.approx(1, abs=1e-6)
    assert boundary.normal @ normal > 0.99  # towards the positive side
    assert boundary.accuracy > 0.98 and boundary.balanced > 0.98
    assert boundary.spread == pytest.approx(float((latents @ boundary.normal).std(ddof=1)), rel=1e-5)


def test_labels_by_chance_are_not_learnt() -> None:
    latents, _, _ = labelled(400)
    positive = np.random.default_rng(0).random(400) < 0.5
    boundary = fit_boundary(latents, positive)
    assert abs(boundary.balanced - 0.5) < 0.1, "held-out samples were seen"


def test_guessing_the_larger_class_shows_in_the_balanced_accuracy() -> None:
    latents, _, _ = labelled(400)
    positive = np.arange(400) % 10 == 0
    assert abs(fit_boundary(latents, positive).balanced - 0.5) < 0.15


def test_too_few_labels() -> None:
    latents, _, _ = labelled(20)
    with pytest.raises(ConfigError, match="at least 5 labels of either class, found 3"):
        fit_boundary(latents, np.arange(20) < 3)


@pytest.mark.parametrize("penalty", [PENALTY, 1.0])
def test_svm_equals_the_minimum_that_scipy_finds(penalty: float) -> None:
    latents, _, positive = labelled(150, noise=0.7)
    sign = np.where(positive, 1.0, -1.0)
    scale = np.sqrt(np.mean((latents - latents.mean(0)) ** 2))
    share = np.where(positive, 150 / (2 * positive.sum()), 150 / (2 * (~positive).sum()))

    def loss(weight_offset: np.ndarray) -> float:
        hinge = np.maximum(0, 1 - sign * (latents @ weight_offset[:-1] + weight_offset[-1]))
        return float(0.5 * scale**2 * weight_offset[:-1] @ weight_offset[:-1] + penalty * share @ hinge**2)

    weight, offset = svm(torch.from_numpy(latents), torch.from_numpy(sign), penalty)
    ours = np.append(weight.numpy(), float(offset))
    theirs = minimize(loss, np.zeros(13), method="BFGS", options={"gtol": 1e-7, "maxiter": 2000})
    assert loss(ours) <= theirs.fun * (1 + 1e-7)
    np.testing.assert_allclose(ours[:-1], theirs.x[:-1], atol=1e-4 * np.abs(ours[:-1]).max())


# ---------------------------------------------------------------------- ganspace


def test_iteration_equals_a_full_decomposition() -> None:
    random = torch.Generator().manual_seed(0)
    samples = torch.randn(500, 400, generator=random) * torch.arange(1, 401) ** -0.5  # a slow decay, as features have
    samples = samples @ torch.linalg.qr(torch.randn(400, 400, generator=random))[0]
    samples -= samples.mean(0)
    found = top_coordinates(lambda: samples.split(64), 400, 3)
    left, values, _ = torch.linalg.svd(samples.double(), full_matrices=False)
    exact = left[:, :3] * values[:3]
    torch.testing.assert_close(found.abs(), exact.abs(), atol=1e-3 * float(values[0]), rtol=0)


class Linear:
    """A generator without styles whose features are a known linear function of z: 3 * z0, 2 * z1, z2, 0.1 * z3."""

    z_dim, resolution, layers = 6, 4, 2

    def layer_channels(self, layer: int) -> int:
        return 3

    def layer_size(self, layer: int) -> int:
        return 4

    def head(self, z: torch.Tensor, layer: int) -> torch.Tensor:
        mixed = torch.linalg.qr(torch.randn(48, 48, generator=torch.Generator().manual_seed(1)))[0]
        scale = torch.tensor([3.0, 2, 1, 0.1, 0, 0])
        return ((z * scale) @ mixed[:6] + 7).view(-1, 3, 4, 4)


@pytest.mark.parametrize("held", [True, False])
def test_components_of_linear_features_are_found_in_z(held: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not held:
        monkeypatch.setattr("mgi.directions.ganspace.HELD_NUMBERS", 0)
    found = components(Linear(), 3, 20_000, layer=1)  # type: ignore[arg-type]
    assert (found.space, found.layer) == ("z", 1)
    np.testing.assert_allclose(found.vectors, np.eye(3, 6), atol=0.05)
    np.testing.assert_allclose(found.explained, np.array([9, 4, 1]) / 14.01, atol=0.02)
    np.testing.assert_allclose(found.linear, 1, atol=1e-4)


class Styled:
    """A generator with styles: w = 2 * z0 along (0.6, 0.8, 0, 0), 1 * z1 along (0.8, -0.6, 0, 0)."""

    z_dim, resolution, layers = 4, 8, 2

    def to_w(self, z: torch.Tensor) -> torch.Tensor:
        plane = torch.tensor([[1.2, 1.6, 0, 0], [0.8, -0.6, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
        return z @ plane + 3


def test_components_of_w_have_the_length_of_a_deviation() -> None:
    found = components(Styled(), 2, 20_000)  # type: ignore[arg-type]
    assert found.space == "w"
    np.testing.assert_allclose(found.vectors, [[1.2, 1.6, 0, 0], [0.8, -0.6, 0, 0]], atol=0.05)
    np.testing.assert_allclose(found.explained, [0.8, 0.2], atol=0.02)


def test_components_of_a_real_generator_repeat() -> None:
    generator = load_file(GOLDEN / "pggan_mganprior.pth")
    assert default_layer(generator) == 4  # 8 x 8
    first, again = (components(generator, 4, 200, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first.vectors, again.vectors)
    np.testing.assert_allclose(np.linalg.norm(first.vectors, axis=1), 1, rtol=1e-5)
    assert (np.diff(first.explained) <= 0).all() and first.explained.sum() < 1


@pytest.mark.parametrize(
    ("count", "samples", "layer", "expected"),
    [(25, 100, None, "24 dimensions"), (2, 47, None, "too few"), (2, 100, 9, "no layer 9")],
)
def test_components_that_cannot_be(count: int, samples: int, layer: int | None, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        components(load_file(GOLDEN / "pggan_mganprior.pth"), count, samples, layer=layer)


def test_a_layer_is_refused_where_there_are_styles() -> None:
    with pytest.raises(ConfigError, match="those of w"):
        components(Styled(), 2, 100, layer=1)  # type: ignore[arg-type]
