"""How far along a direction: the amounts that a scale means, and how an amount is written."""

from __future__ import annotations

import math

import numpy as np

from mgi.config import ConfigError

STEPS = 7
"""Amounts between the two ends of a scale, both included."""


def amounts_of(scale: str, steps: int = STEPS) -> tuple[float, ...]:
    """The amounts that a scale means; 0, which is the inversion itself, is always among them.

    Raises:
        ConfigError: not `A..B` with A < B and not a number.

    Example:
        >>> amounts_of("-3..3", 3), amounts_of("2"), amounts_of("1..2", 2)
        ((-3.0, 0.0, 3.0), (0.0, 2.0), (0.0, 1.0, 2.0))
    """
    first, dots, last = scale.partition("..")
    try:
        low, high = float(first), float(last if dots else first)
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high)) or (dots and low >= high):
        raise ConfigError(f"--scale {scale}: expected A..B with A below B, such as -3..3, or one number")
    if dots and steps < 2:
        raise ConfigError(f"--steps {steps}: a scale from {low:g} to {high:g} has at least 2")
    between = np.linspace(low, high, steps) if dots else np.array([low])
    between[np.abs(between) < 1e-9 * (high - low)] = 0  # the middle of -0.3..0.3 is not quite 0 in binary
    return tuple(sorted({0.0, *(float(f"{amount:.6g}") for amount in between)}))


def words_of(amount: float) -> str:
    """An amount as people write it: -1.5, 0, +2."""
    return f"{amount:+g}" if amount else "0"
