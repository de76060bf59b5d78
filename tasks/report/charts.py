"""Loss curves as the numbers of an SVG: the page's script draws, this module only places."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mgi.config import RunConfig
from mgi.statistics import shipped

WIDTH, HEIGHT = 640.0, 220.0
LEFT, RIGHT, TOP, BOTTOM = 58.0, 14.0, 12.0, 30.0
POINTS = 120
"""A curve is drawn with at most this many points; more cannot be seen and only make the page larger."""


@dataclass(frozen=True)
class Curve:
    """A hypothesis: `parts` are polylines for SVG, `series` picks colour and dash, `final` is the last loss."""

    name: str
    parts: list[str]
    series: int
    final: float
    chosen: bool = False


@dataclass(frozen=True)
class Chart:
    """A chart of `curves`; ticks are (position, label), and so is `turn`, where another loss begins (None: nowhere)."""

    curves: list[Curve]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    steps: int
    turn: tuple[float, str] | None = None
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM


def loss_chart(losses: Mapping[str, np.ndarray], chosen: str | None = None, turn: int = 0) -> Chart | None:
    """Loss over steps, logarithmic, one curve per hypothesis; None when there is nothing to draw.

    Args:
        losses: {hypothesis id: float [steps]}; values that are not positive and finite are left out.
        chosen: the hypothesis to emphasise; drawn last so that it lies on top.
        turn: steps whose loss is another than that of the later ones (`coarse_steps`): curves are broken there, because
            the two losses cannot be compared. 0: all steps have one loss.
    """
    usable = {name: np.asarray(loss, dtype=np.float64) for name, loss in losses.items()}
    usable = {name: loss for name, loss in usable.items() if np.any(_drawable(loss))}
    if not usable:
        return None
    values = np.concatenate([loss[_drawable(loss)] for loss in usable.values()])
    low, high = math.log10(values.min()), math.log10(values.max())
    if high - low < 0.2:  # a flat curve belongs in the middle, not magnified into noise
        low, high = (low + high) / 2 - 0.1, (low + high) / 2 + 0.1
    steps = max(2, max(len(loss) for loss in usable.values()))

    def x(step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (step - 1) / (steps - 1)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - math.log10(value)) / (high - low)

    curves = []
    for series, (name, loss) in enumerate(usable.items()):
        keep = np.flatnonzero(_drawable(loss))
        keep = keep[np.unique(np.linspace(0, len(keep) - 1, min(POINTS, len(keep))).round().astype(int))]
        parts = [keep[keep < turn], keep[keep >= turn]] if turn else [keep]
        lines = [" ".join(f"{x(i + 1):.1f},{y(loss[i]):.1f}" for i in part) for part in parts if len(part)]
        curves.append(Curve(name, lines, series, float(loss[keep[-1]]), name == chosen))
    curves.sort(key=lambda curve: curve.chosen)
    x_ticks = [(round(x(step), 1), str(step)) for step in _step_ticks(steps)]
    y_ticks = [(round(y(value), 1), f"{value:g}") for value in _log_ticks(low, high)]
    begins = (round(x(turn + 0.5), 1), f"full size from step {turn + 1}") if 0 < turn < steps else None
    return Chart(curves, x_ticks, y_ticks, steps, begins)


def coarse_steps(config: RunConfig) -> int:
    """How many of the first steps of a run's inversions had the loss of the generator's coarse head; 0: none."""
    settings = config.inversion
    if not config.searches or not settings.coarse_steps or settings.noise != "stored" or not shipped(config.generator):
        return 0
    return min(settings.coarse_steps, settings.steps - 1)


def mean_losses(losses: Mapping[str, list[np.ndarray]]) -> dict[str, np.ndarray]:
    """Geometric mean over pairs of every hypothesis's curve: what a logarithmic chart shows as the average."""
    means = {}
    for name, curves in losses.items():
        logs = np.full((len(curves), max(map(len, curves), default=0)), np.nan)
        for row, curve in zip(logs, curves, strict=True):
            ok = _drawable(np.asarray(curve))
            row[: len(curve)][ok] = np.log(np.asarray(curve, dtype=np.float64)[ok])
        there = np.isfinite(logs)
        count = there.sum(axis=0)
        total = np.where(there, logs, 0.0).sum(axis=0)
        means[name] = np.where(count > 0, np.exp(total / np.maximum(count, 1)), np.nan)
    return means


def _drawable(loss: np.ndarray) -> np.ndarray:
    return np.isfinite(loss) & (loss > 0)


def _step_ticks(steps: int) -> list[int]:
    rough = steps / 5
    unit = 10 ** math.floor(math.log10(max(1.0, rough)))
    step = max(1, int(min((m * unit for m in (1, 2, 5, 10)), key=lambda s: abs(s - rough))))
    inner = [tick for tick in range(step, steps + 1, step) if tick - 1 > 0.4 * step]
    return [1, *inner]


def _log_ticks(low: float, high: float) -> list[float]:
    for mantissas in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), tuple(float(m) for m in range(1, 10))):
        ticks = [m * 10.0**e for e in range(math.floor(low), math.ceil(high) + 1) for m in mantissas]
        ticks = [tick for tick in ticks if low <= math.log10(tick) <= high]
        if len(ticks) >= 3:
            return ticks[:: math.ceil(len(ticks) / 6)]
    middle = 10 ** ((low + high) / 2)
    return [float(f"{10**low:.3g}"), float(f"{middle:.3g}"), float(f"{10**high:.3g}")]
