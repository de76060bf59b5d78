"""PyTorch's threads do not spin for milliseconds where other work needs the cores."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["mgi", "tasks.training_runs", "flows.cli"])
def test_it_is_said_before_pytorch_is_imported(module: str) -> None:
    look = "import os, builtins; real = builtins.__import__\n"
    look += "def spy(name, *rest):\n    if name == 'torch': print(os.environ.get('GOMP_SPINCOUNT'))\n"
    look += f"    return real(name, *rest)\nbuiltins.__import__ = spy\nimport {module}, torch\n"
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    found = subprocess.run([sys.executable, "-c", look], env=environment, capture_output=True, text=True, check=True)
    assert set(found.stdout.split()) == {"1000"}


def test_what_the_user_says_stays() -> None:
    look = "import os, mgi; print(os.environ['GOMP_SPINCOUNT'])"
    environment = {**os.environ, "GOMP_SPINCOUNT": "7"}
    found = subprocess.run([sys.executable, "-c", look], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["7"]
