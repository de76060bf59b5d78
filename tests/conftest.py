"""What all tests share: helpers in `tests/stub` that can be imported by name, and a plain environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "stub"))

KEPT = ("MGI_WEIGHTS_DIR", "MGI_WEIGHTS_MIRROR", "MGI_OFFLINE")
"""Where the caller's weights are; no test depends on the rest of the caller's settings."""


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment without settings of mgi, of the stub method and of Prefect's server."""
    for name in list(os.environ):
        if name.startswith(("MGI_", "STUB_", "PREFECT_API")) and name not in KEPT:
            monkeypatch.delenv(name)


@pytest.fixture
def stub(plain: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in this process compute with `tests/stub/stub_method.py`, in milliseconds."""
    monkeypatch.setenv("MGI_METHOD_FACTORY", "stub_method:load")


@pytest.fixture(autouse=True)
def no_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs measure nothing unless a test asks for it: metrics load networks, which the stub method's pictures waste."""
    monkeypatch.setattr("tasks.evaluation.STANDARD", "none")
