"""Finding one file of a package: on an index (the simple repository API, PEP 691 or 503), in a folder, on a page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from urllib.request import url2pathname

from mgi.addresses import shown
from mgi.weights.indexes import Access, Indexes
from mgi.weights.web import get

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
"""JSON if the index has it, else HTML."""


class NotFound(Exception):
    """A place does not have the file; the message says which place and why."""


@dataclass(frozen=True)
class Link:
    """One file of a page: its name, its absolute address, and its sha256 if the page gives one."""

    name: str
    address: str
    sha256: str = ""


@dataclass(frozen=True)
class Place:
    """Where files may be listed: the page of a project on an index, or a flat list."""

    address: str
    flat: bool = False

    @property
    def local(self) -> Path | None:
        """The folder or page on this machine; None for a server."""
        parts = urlsplit(self.address)
        if parts.scheme in ("http", "https"):
            return None
        return Path(url2pathname(parts.path)) if parts.scheme == "file" else Path(self.address).expanduser()


def places(project: str, indexes: Indexes) -> list[Place]:
    """Where to look for a project: on this machine first, because that costs nothing."""
    name = re.sub(r"[-_.]+", "-", project).lower()
    found = [Place(link, flat=True) for link in indexes.links]
    found += [Place(f"{root.rstrip('/')}/{name}/") for root in indexes.simple]
    return sorted(found, key=lambda place: place.local is None)


def locate(place: Place, file: str, sha256: str, access: Access) -> str | Path:
    """The address or path of `file`. Yanked files count: the version is pinned, and its bytes by `sha256`.

    Raises:
        NotFound: it is not listed, or only with another sha256.
        requests.RequestException: the place does not answer.
    """
    links = list(_links(place, access))
    named = [link for link in links if link.name.lower() == file.lower()]
    if not named:
        raise NotFound(f"{shown(place.address)} has no {file}")
    fitting = [link for link in named if not link.sha256 or link.sha256.lower().startswith(sha256)]
    if not fitting:
        raise NotFound(f"{shown(place.address)} has {file} with sha256 {named[0].sha256[:12]}..., not {sha256[:12]}...")
    found = Place(_with_user(fitting[0].address, place.address))
    return found.local or found.address


def _links(place: Place, access: Access) -> Iterator[Link]:
    path = place.local
    if path is None:
        yield from _of_server(place, access)
    elif path.is_dir() and (place.flat or not (path / "index.html").is_file()):
        yield from (Link(file.name, str(file)) for file in path.iterdir() if file.is_file())
    else:
        page = path / "index.html" if path.is_dir() else path
        try:
            text = page.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise NotFound(f"{shown(place.address)} is not there") from None
        yield from _of_html(text, page.absolute().as_uri())


def _of_server(place: Place, access: Access) -> Iterator[Link]:
    with get(place.address, {"Accept": ACCEPT}, access) as response:
        response.raise_for_status()
        text, base = response.text, response.url
        kind = response.headers.get("Content-Type", "")
    try:
        yield from _of_json(text, base) if "json" in kind else _of_html(text, base)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise NotFound(f"{shown(place.address)} does not answer as a package index") from None


def _of_json(text: str, base: str) -> list[Link]:
    """PEP 691."""
    return [
        Link(file["filename"], urljoin(base, file["url"]), file.get("hashes", {}).get("sha256", ""))
        for file in json.loads(text)["files"]
    ]


def _of_html(text: str, base: str) -> list[Link]:
    """PEP 503: anchors whose fragment may be `sha256=...`."""
    anchors = _Anchors(base)
    anchors.feed(text)
    links = []
    for href in anchors.found:
        address, fragment = urldefrag(urljoin(anchors.base, href))
        hashed = re.search(r"sha256=([0-9a-fA-F]{64})", fragment)
        links.append(Link(unquote(urlsplit(address).path).rpartition("/")[2], address, hashed[1] if hashed else ""))
    return links


class _Anchors(HTMLParser):
    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href")
        if href and tag == "base":
            self.base = urljoin(self.base, href)
        elif href and tag == "a":
            self.found.append(href)


def _with_user(address: str, place: str) -> str:
    """`address` with the user and password of `place`, if it is on the same host and has none."""
    user, at, host = urlsplit(place).netloc.rpartition("@")
    parts = urlsplit(address)
    return parts._replace(netloc=user + at + host).geturl() if at and parts.netloc == host else address
