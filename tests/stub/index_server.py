"""A package index on this machine: pages by path, in both forms that indexes use."""

from __future__ import annotations

import http.server
import json

WHEEL = "toy_weights-1.0-py3-none-any.whl"


class Index(http.server.ThreadingHTTPServer):
    """Answers by `pages`: path -> (content type, body), a status, or where to look instead."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, tuple[str, bytes] | int | str] = {}
        self.asked: list[tuple[str, str | None, str | None]] = []
        self.cut: int | None = None

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/simple"

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.asked]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Index

    def do_GET(self):
        wanted = self.headers.get("Range")
        self.server.asked.append((self.path, wanted, self.headers.get("Authorization")))
        page = self.server.pages.get(self.path.partition("?")[0], 404)
        if isinstance(page, int):
            self.send_error(page)
            return
        if isinstance(page, str):
            self.send_response(301)
            self.send_header("Location", page)
            self.end_headers()
            return
        kind, body = page
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start:][: self.server.cut if kind == "wheel" else None])

    def log_message(self, *args):
        pass


def as_json(url: str, sha256: str, yanked: bool = False) -> tuple[str, bytes]:
    files = [{"filename": "toy_weights-1.0.tar.gz", "url": "t.tar.gz", "hashes": {}}]
    files += [{"filename": WHEEL, "url": url, "hashes": {"sha256": sha256}, "yanked": yanked}]
    page = {"meta": {"api-version": "1.1"}, "name": "toy-weights", "files": files}
    return "application/vnd.pypi.simple.v1+json", json.dumps(page).encode()


def as_html(url: str, sha256: str = "") -> tuple[str, bytes]:
    fragment = f"#sha256={sha256}" if sha256 else ""
    page = f'<!DOCTYPE html><a href="x.tar.gz">x.tar.gz</a><br><a data-yanked="" href="{url}{fragment}">{WHEEL}</a>'
    return "text/html; charset=utf-8", page.encode()
