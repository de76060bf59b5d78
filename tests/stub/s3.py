"""An S3 server on this machine (moto, in a process of its own), and a proxy before it that injects faults.

The proxy also makes conditional writes atomic, as S3's are: moto looks at the condition and then writes.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

BUCKET = "bucket"
KINDS = ("denied", "busy", "slow", "cut up", "cut down", "twice", "lost")
"""403; 503; an answer after SLOW seconds; a connection that ends within the request's or the answer's body; a request
that arrives twice; one whose work is done and whose answer is lost. `kept`: its answer is 503, and it is done when
`release` is called."""
SLOW = 0.3


@dataclass
class Fault:
    """What happens to requests of a method on paths that contain a text, so many times."""

    kind: str
    method: str
    text: str
    times: int = 1


@dataclass
class Faults:
    """The faults to come, and what was asked so far."""

    to_come: list[Fault] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    happened: list[str] = field(default_factory=list)
    kept: list[Callable[[], object]] = field(default_factory=list)
    before: Callable[[str, str], None] | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)

    def plan(self, kind: str, method: str, text: str, times: int = 1) -> None:
        """Let a fault happen."""
        self.to_come.append(Fault(kind, method, text, times))

    def release(self) -> None:
        """Do the requests now that were kept."""
        for late in self.kept:
            late()
        self.kept.clear()

    def next(self, method: str, path: str) -> str | None:
        """The fault that happens to a request, if any."""
        with self.lock:
            self.asked.append((method, path))
            for fault in self.to_come:
                if fault.method == method and fault.text in path and fault.times > 0:
                    fault.times -= 1
                    self.happened.append(fault.kind)
                    return fault.kind
        return None


class Proxy(http.server.ThreadingHTTPServer):
    """Passes requests on to a server, or does what `faults` says."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.to, self.faults = port, Faults()

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are what is tested."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body go out by themselves; together they would wait 40 ms

    def do_any(self) -> None:
        kind = self.server.faults.next(self.command, self.path)
        length = int(self.headers.get("Content-Length") or 0)
        if kind == "cut up":
            self.rfile.read(length // 2)
            self._hang_up()
            return
        body = self.rfile.read(length)
        if self.server.faults.before:
            self.server.faults.before(self.command, self.path)
        if kind in ("denied", "busy", "kept"):
            status, code = (403, "AccessDenied") if kind == "denied" else (503, "SlowDown")
            if kind == "kept":
                self.server.faults.kept.append(partial(self._ask, self.command, self.path, dict(self.headers), body))
            self._answer(status, {}, f"<Error><Code>{code}</Code></Error>".encode())
            return
        if kind == "slow":
            time.sleep(SLOW)
        request = (self.command, self.path, dict(self.headers), body)
        if kind == "twice":
            self._ask(*request)
        status, headers, answer = self._ask(*request)
        if kind == "lost":
            self._hang_up()
        elif kind == "cut down":
            self._answer(status, headers, answer, len(answer) // 2)
            self._hang_up()
        else:
            self._answer(status, headers, answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_any

    def _ask(self, method: str, path: str, sent: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        conditional = any(name.lower() in ("if-match", "if-none-match") for name in sent)
        with self.server.faults.lock if conditional else contextlib.nullcontext():
            connection = http.client.HTTPConnection("127.0.0.1", self.server.to, timeout=30)
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            found = answer.status, dict(answer.getheaders()), answer.read()
            connection.close()
        return found

    def _answer(self, status: int, headers: dict[str, str], body: bytes, sent: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        length = len(body) if self.command != "HEAD" else headers.get("Content-Length", "0")
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body[:sent])

    def _hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def served() -> Iterator[Proxy]:
    """A server with a bucket, and its proxy."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        proxy = None
        try:
            _make_bucket(port)
            proxy = Proxy(port)
            threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            yield proxy
        finally:
            running.kill()
            if proxy:
                proxy.shutdown()
                proxy.server_close()


def variables(proxy: Proxy) -> dict[str, str]:
    """The environment in which this server is the object store."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.server_port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    }


def _make_bucket(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("PUT", f"/{BUCKET}")
            assert connection.getresponse().status == 200
            connection.close()
            return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
