"""What all tests share: helpers in `tests/stub` that can be imported by name, and a plain environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import s3

sys.path.insert(0, str(Path(__file__).resolve().parent / "stub"))

KEPT = ("MGI_WEIGHTS_DIR", "MGI_WEIGHTS_MIRROR", "MGI_OFFLINE")
"""Where the caller's weights are; no test depends on the caller's other settings."""


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
    """Runs measure nothing unless a test asks for it: metrics load networks, wasted on the stub's pictures."""
    monkeypatch.setattr("tasks.evaluation.STANDARD", "none")


@pytest.fixture(scope="session")
def proxy() -> Iterator[s3.Proxy]:
    """An S3 server behind a proxy that can inject faults."""
    import s3

    with s3.served() as proxy:
        yield proxy


@pytest.fixture
def faults(proxy: s3.Proxy, monkeypatch: pytest.MonkeyPatch) -> s3.Faults:
    """The faults to come; the environment is that in which the server is the object store."""
    import s3

    for name, value in s3.variables(proxy).items():
        monkeypatch.setenv(name, value)
    proxy.faults = s3.Faults()
    return proxy.faults


@pytest.fixture
def address(faults: s3.Faults, tmp_path: Path) -> str:
    """A place for a run on that server."""
    return f"s3://bucket/{tmp_path.name}/run"
