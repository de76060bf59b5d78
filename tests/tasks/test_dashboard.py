"""`--dashboard`: an address that answers, or one line that says why there is none."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.workers import dashboard
from tasks.workers.cluster import open_pool
from tasks.workers.dashboard import dashboard_line, local_options, wanted

SCHEDULER = "tcp://me:hunter2@10.0.0.5:8786"


@pytest.fixture(autouse=True)
def asked() -> Iterator[None]:
    token = wanted.set(True)
    yield
    wanted.reset(token)


@pytest.fixture
def bokeh(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Bokeh is here, or not, whatever is installed."""
    found = ModuleSpec("bokeh", None) if request.param else None
    monkeypatch.setattr(dashboard, "find_spec", lambda name: found)


@pytest.fixture
def page() -> Iterator[str]:
    """A server that has `/status` and nothing else."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/status" else 404)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def client(link: str | None, version: str | None = "3.9.2") -> Any:
    """What is asked of a client."""
    answer = {"scheduler": {"packages": {"bokeh": version}}}
    return SimpleNamespace(get_versions=lambda packages: answer, dashboard_link=link)


def test_without_workers_there_is_none() -> None:
    with open_pool(0, None, lambda *beat: None) as pool:
        (note,) = pool.notes
    assert "no dashboard" in note and "--workers 1" in note


@pytest.mark.parametrize("bokeh", [False], indirect=True)
@pytest.mark.usefixtures("bokeh")
def test_without_bokeh_a_line_says_what_is_missing() -> None:
    assert local_options()["dashboard"] is False
    line = dashboard_line(client(None), None)
    assert line == f"note: this command's cluster has no dashboard: {dashboard.NEEDS}"


@pytest.mark.parametrize("bokeh", [True], indirect=True)
@pytest.mark.usefixtures("bokeh")
def test_a_local_cluster_has_pages_if_they_are_asked_for() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert dashboard._free(taken.getsockname()[1]) == 0, "the port is taken: any other"
    assert local_options()["dashboard"] is True
    wanted.set(False)
    assert local_options()["dashboard"] is False


def test_an_address_that_answers(page: str) -> None:
    assert dashboard_line(client(f"{page}/status"), SCHEDULER) == f"dashboard: {page}/status"


def test_a_scheduler_somewhere_else(page: str) -> None:
    lines = {
        dashboard_line(client(f"{page}/other"), SCHEDULER): "was started without a dashboard",
        dashboard_line(client(None), SCHEDULER): "was started without a dashboard",
        dashboard_line(client("http://127.0.0.1:1/status"), SCHEDULER): "(does not answer from this machine)",
        dashboard_line(client(f"{page}/status", None), SCHEDULER): f"{dashboard.NEEDS}, where the scheduler runs",
    }
    assert all(line.endswith(said) and "hunter2" not in line for line, said in lines.items()), lines
