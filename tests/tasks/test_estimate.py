"""The dry run's estimate: what is measured, and what that adds up to."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from places import GOLDEN

from flows.cli.sizes import size_in_words
from mgi.generators import load_file
from mgi.pairs import Hypothesis
from mgi.profiles import load_config
from mgi.translators import Lane, Progress, load_translator
from mgi.weights import WeightsMissing, path
from tasks.estimates import estimate as module
from tasks.estimates import probe
from tasks.estimates.disk import bytes_per_pair
from tasks.estimates.estimate import Estimate, Piece, estimate, passes_of, work
from tasks.estimates.probe import Probe
from tasks.report.template import duration
from tasks.stages.plan import Plan, Request, make_plan

A, B, C = Hypothesis(4, 8), Hypothesis(6, 8), Hypothesis(4, 16)


def request(folder: Path, pairs: int, **settings: Any) -> Plan:
    for side in ("sources", "exemplars"):
        (folder / side).mkdir()
        for number in range(pairs):
            pixels = np.random.default_rng(number).integers(0, 256, (80, 90, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / side / f"{number}.png")
    changed = {key.replace("__", "."): value for key, value in settings.items()}
    return make_plan(Request(str(folder / "sources"), str(folder / "exemplars"), load_config("quick", changed)))


class Clock:
    """Instead of a probe: a step takes a tenth of a second for every code, twice that at full size."""

    loading = 3.0
    left_s = 100.0

    def __init__(self, config: Any, threads: int | None) -> None:
        self.config, self.measured = config, []
        self.method = load_translator(config, threads=threads)

    def left(self) -> float:
        return self.left_s

    def step(self, lanes: Any, coarse: bool) -> tuple[float, float]:
        self.measured.append((lanes, coarse))
        return sum(lane.num_codes for lane in lanes) / (10 if coarse else 5), 2.0

    def warp(self, source: np.ndarray, exemplar: np.ndarray) -> float:
        return 0.5

    def sample(self) -> tuple[float, float]:
        return 0.25, 0.125

    def domain_is_here(self) -> bool:
        return False


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    try:
        path("vgg16-imagenet")
    except WeightsMissing as error:
        pytest.skip(str(error))
    monkeypatch.setattr(module, "Probe", Clock)
    monkeypatch.setattr(module, "work", lambda generator, lanes, several: sum(lane.num_codes for lane in lanes))
    return Clock


def test_pieces_are_multiplied_out(tmp_path: Path, clock: type[Clock]) -> None:
    plan = request(tmp_path, 2, inversion__hypotheses=["L04N08", "L04N12", "L06N16"], inversion__warm_start=0)
    found = estimate(plan, 0)
    steps = [piece for piece in found.shared if piece.what == "full step"]
    assert [(p.at, p.count, p.measured) for p in steps] == [
        ("L04N08", 80, True),
        ("L04N12", 80, False),
        ("L06N16", 80, True),
    ]
    assert [p.seconds for p in steps] == pytest.approx([1.6, 2.4, 3.2])
    of_lanes, of_pairs = 6 * (2.0 + 0.25 + 0.125), 2 * (0.5 + 0.25 + 2 * 0.125)
    domain = 512 * (0.25 + 0.125)
    assert found.seconds() == pytest.approx(3 + domain + 80 * (1.6 + 2.4 + 3.2) + of_lanes + of_pairs)
    shared = found.seconds() - 3 - domain
    assert found.seconds(2) == pytest.approx(3 + domain + shared / 2)
    assert found.seconds(100) == pytest.approx(3 + domain + shared / 6), "no more workers than units"


def test_a_dear_step_is_scaled_where_it_would_take_too_long(
    tmp_path: Path, clock: type[Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clock, "left_s", 1.0)
    plan = request(tmp_path, 1, inversion__hypotheses=["L04N08", "L06N16"], inversion__warm_start=0)
    steps = [piece for piece in estimate(plan, 0).shared if piece.what == "full step"]
    assert [(p.at, p.measured) for p in steps] == [("L04N08", True), ("L06N16", False)]
    assert steps[1].seconds == pytest.approx(2 * steps[0].seconds)


def test_rungs_shorten_it(tmp_path: Path, clock: type[Clock]) -> None:
    rungs = {"inversion__rungs": ["10:1"], "inversion__warm_start": 0, "inversion__rank_by": "loss"}
    plan = request(tmp_path, 1, inversion__hypotheses=["L04N08", "L06N08"], **rungs)
    steps = [piece for piece in estimate(plan, 0).shared if piece.what == "full step"]
    assert sum(piece.count for piece in steps) == plan.lane_steps == 50


def test_lanes_of_one_layer_share_a_pass() -> None:
    assert passes_of([A, B, C], pairs=1, at_once=8) == [(A, C), (B,)]
    assert passes_of([A, B, C], pairs=2, at_once=3) == [(A, C, A), (C,), (B, B)]
    assert passes_of([A], pairs=1, at_once=1) == [(A,)]


def test_work_counts_every_code_below_the_composition() -> None:
    generator = load_file(GOLDEN / "pggan_mganprior.pth")
    one, many, deep = (work(generator, (h,), True) for h in (Hypothesis(4, 1), Hypothesis(4, 9), Hypothesis(6, 9)))
    assert one < many < deep
    assert work(generator, (Hypothesis(4, 9),), False) == one
    assert work(generator, (A, C), True) == work(generator, (A,), True) + work(generator, (C,), True)


def test_json_and_durations() -> None:
    piece = Piece("full step", 2.0, 5, "L04N08")
    data = Estimate("cpu", 2, 0, 1, [piece], [Piece("loading", 1.0, 1)], ["note"]).as_dict()
    assert data["seconds"] == 11
    assert data["shared"] == [{"what": "full step", "seconds": 2.0, "count": 5, "at": "L04N08", "measured": True}]
    assert duration(3600 * 24 * 3 + 7300) == "3 days 2 h"


@pytest.mark.slow
def test_a_real_run_takes_about_as_long(tmp_path: Path) -> None:
    """Within a factor of three: the old estimate was off by a factor of 16 and more, and this machine may be busy."""
    try:
        path("vgg16-imagenet")
    except WeightsMissing as error:
        pytest.skip(str(error))
    plan = request(tmp_path, 1, inversion__hypotheses=["L04N04"], inversion__warm_start=0, align__mode="never")
    found = estimate(plan, 0)
    expected = sum(piece.total for piece in found.shared if "step" in piece.what or "start" in piece.what)
    method, config = load_translator(plan.request.config, threads=found.threads), plan.request.config
    seen = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    began = time.perf_counter()
    (result,) = method.invert([Lane("a", seen, config.inversion.all_hypotheses()[0], 1)])
    assert 1 / 3 < (time.perf_counter() - began) / expected < 3
    assert result.measures["steps"] == 40


@pytest.mark.slow
def test_probing_keeps_the_method_as_it_was(tmp_path: Path) -> None:
    try:
        path("vgg16-imagenet")
    except WeightsMissing as error:
        pytest.skip(str(error))
    config = load_config("quick", {"warp.method": "oeft", "oeft.iterations": 1000, "align.mode": "never"})
    probe = Probe(config, None)
    step, start = probe.step((A,), coarse=False)
    assert 0 < step < 10 and 0 <= start < 30
    picture = np.zeros((128, 128, 3), np.uint8)
    assert probe.warp(picture, picture) > 1000 * 0.01, "every iteration counts"
    assert probe.method.config == config
    assert probe.domain_is_here(), "ships"


def test_long_work_is_broken_off_and_multiplied_out(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, seen = [0.0], []
    monkeypatch.setattr(probe.time, "perf_counter", lambda: clock[0])

    def work(steps: int, each: float, start: float = 2.0) -> Callable[[Progress], None]:
        def run(progress: Progress) -> None:
            clock[0] += start
            for step in range(1, steps + 1):
                clock[0] += each
                seen.append(step)
                progress(step, steps, 0.5)
            clock[0] += 1.0

        return run

    assert probe.broken_off(work(1000, 0.5)) == pytest.approx(2.0 + 500.0)
    assert len(seen) < 20
    assert probe.broken_off(work(4, 3.0)) == pytest.approx(2.0 + 12.0 + 1.0)  # too few steps to say: the whole
    seen.clear()
    assert probe.broken_off(work(3, 0.1, start=0.1)) == pytest.approx(1.4) and len(seen) == 6  # short: once more
    assert probe.broken_off(lambda progress: None) == 0.0


def test_the_bytes_of_a_pair_are_added_up(tmp_path: Path) -> None:
    plan = request(tmp_path, 2)
    translator = load_translator(plan.request.config)
    said = bytes_per_pair(plan.request.config, translator)
    size, lanes = plan.request.config.warp.image_size, 0
    for hypothesis in plan.request.config.hypotheses():
        for shape, kind in translator.lane_arrays(hypothesis).values():
            lanes += int(np.prod(shape)) * np.dtype(kind).itemsize
    assert said == 9 * size**2 + 3 * (size * plan.request.config.upsampling) ** 2 + lanes and lanes > 0
    assert [size_in_words(count) for count in (2**20, 2**33)] == ["1.0 MiB", "8.0 GiB"]
