"""A real Chromium, as tests of pages use it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def chromium(tmp_path: Path, *arguments: str) -> str:
    """What Chromium prints; skips the test where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine: install it to check the page in a browser")
    quiet = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
    ]
    profile = f"--user-data-dir={tmp_path / 'browser'}"
    command = [program, *quiet, profile, "--virtual-time-budget=2000", *arguments]  # the last of a flag counts
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
