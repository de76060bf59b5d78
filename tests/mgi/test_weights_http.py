"""Downloads over HTTP from a small server on this machine: progress, continuing, and wrong answers."""

import hashlib
import http.server

import pytest
import torch
from test_weights import serving, toy, use

from mgi import weights


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` at every path; `ranges` turns byte ranges on, `cut` ends every answer after so many bytes."""

    content = b""
    ranges = True
    cut: int | None = None
    status: int | None = None

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        if self.server.status:
            self.send_error(self.server.status)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.server.ranges else 0
        if start and start >= len(self.server.content):
            self.send_error(416)
            return
        body = self.server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if self.server.cut is None else body[: self.server.cut])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with serving(Server()) as server:
        yield server


@pytest.fixture
def item(server, tmp_path, monkeypatch):
    """The entry `toy`, published by the server only."""
    torch.save({"features.0.weight": torch.randn(200, 300)}, tmp_path / "toy.pth")
    server.content = (tmp_path / "toy.pth").read_bytes()
    for name in ("MGI_OFFLINE", "MGI_WEIGHTS_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MGI_WEIGHTS_DIR", str(tmp_path / "weights"))
    digest = hashlib.sha256(server.content).hexdigest()[:8]
    return use(monkeypatch, toy(digest, source=f"{server.address}/toy.pth"))


def names():
    return sorted(path.name for path in weights.folder().iterdir() if not path.name.startswith("."))


def test_a_download_is_converted_and_then_removed(item, server):
    seen = []
    weights.fetch("toy", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(server.content), len(server.content))
    assert names() == ["toy.json", "toy.safetensors"]
    weights.fetch("toy")
    assert len(server.asked) == 1


def test_an_interrupted_download_is_continued(item, server):
    server.cut = 100_000
    with pytest.raises(weights.WeightsMissing):
        weights.fetch("toy")
    assert names() == ["toy.pth.part"]
    server.cut = None
    weights.fetch("toy")
    assert server.asked == [None, "bytes=65536-"]
    assert weights.state(item) == "here"


def test_a_server_without_ranges_starts_over(item, server):
    weights.folder().mkdir(parents=True)
    (weights.folder() / "toy.pth.part").write_bytes(server.content[:1000])
    server.ranges = False
    weights.fetch("toy")
    assert len(server.asked) == 1


def test_a_piece_of_another_file_is_thrown_away(item, server):
    weights.folder().mkdir(parents=True)
    for junk in (b"junk" * 100, server.content + b"longer"):
        (weights.folder() / "toy.pth.part").write_bytes(junk)
        weights.fetch("toy")
        assert weights.state(item) == "here"
        item.path.unlink()


def test_a_piece_that_is_already_whole_is_used(item, server):
    weights.folder().mkdir(parents=True)
    (weights.folder() / "toy.pth.part").write_bytes(server.content)
    weights.fetch("toy")
    assert names() == ["toy.json", "toy.safetensors"]


def test_a_wrong_file_is_refused_and_not_kept(item, server):
    server.content = b"<html>please log in</html>"
    with pytest.raises(weights.WeightsCorrupt):
        weights.fetch("toy")
    assert names() == []


def test_later_downloads_are_held_to_the_whole_hash_of_the_first(item, server):
    weights.fetch("toy")
    record = item.record_path.read_text()
    known = hashlib.sha256(server.content).hexdigest()
    item.record_path.write_text(record.replace(known, known[:8] + "0" * 56))
    item.path.unlink()
    with pytest.raises(weights.WeightsCorrupt):
        weights.fetch("toy")


@pytest.mark.parametrize("status", [404, 503])
def test_an_error_of_the_server_is_one_line(item, server, status):
    server.status = status
    with pytest.raises(weights.WeightsMissing) as error:
        weights.fetch("toy")
    assert f"answered {status}" in str(error.value)
    assert "\n" not in str(error.value)


def test_nobody_listening_is_one_line(item, server, monkeypatch):
    use(monkeypatch, toy("00000000", source="http://127.0.0.1:9/toy.pth"))
    with pytest.raises(weights.WeightsMissing) as error:
        weights.fetch("toy")
    assert "no connection to http://127.0.0.1:9/toy.pth" in str(error.value)


def test_a_mirror_may_be_an_address_and_is_asked_first(item, server, monkeypatch):
    use(monkeypatch, toy(item.file_sha256, source="http://127.0.0.1:9/toy.pth"))
    monkeypatch.setenv("MGI_WEIGHTS_MIRROR", f"{server.address}/files/")
    weights.fetch("toy")
    assert weights.state(item) == "here"


def test_a_mirror_that_lacks_the_file_is_passed_over(item, server, monkeypatch):
    monkeypatch.setenv("MGI_WEIGHTS_MIRROR", "http://127.0.0.1:9")
    weights.fetch("toy")
    assert weights.state(item) == "here"


def test_offline_asks_nobody(item, server, monkeypatch):
    monkeypatch.setenv("MGI_OFFLINE", "1")
    monkeypatch.setenv("MGI_WEIGHTS_MIRROR", server.address)
    with pytest.raises(weights.WeightsMissing, match="MGI_OFFLINE"):
        weights.fetch("toy")
    assert server.asked == []
