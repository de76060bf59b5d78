"""A real Chromium, as tests of pages use it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking")


def program() -> str:
    """Where Chromium is; skips the test where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on this machine: install it to check the page in a browser")
    return found


def chromium(tmp_path: Path, *arguments: str) -> str:
    """What Chromium prints; skips the test where there is none."""
    profile = f"--user-data-dir={tmp_path / 'browser'}"
    command = [program(), *QUIET, profile, "--virtual-time-budget=2000", *arguments]  # the last of a flag counts
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
