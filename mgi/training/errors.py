"""Why a training cannot start or continue."""

from __future__ import annotations


class TrainingError(ValueError):
    """Training cannot start or continue; the message is one line and says what to change."""
