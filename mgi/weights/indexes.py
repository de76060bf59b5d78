"""Which package indexes the user has configured, read from what pip and uv read; neither has to be installed."""

from __future__ import annotations

import configparser
import os
import sys
import tomllib
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import platformdirs

PUBLIC = "https://pypi.org/simple"
"""The index if none is configured."""
ETC = Path("/etc")
_KEYS = ("index-url", "extra-index-url", "find-links", "no-index", "cert", "trusted-host", "proxy")


@dataclass(frozen=True)
class Access:
    """How package indexes are reached: a file of certificates, hosts whose certificates are not checked, a proxy."""

    certificate: str = ""
    trusted: frozenset[str] = frozenset()
    proxy: str = ""

    def trusts(self, address: str) -> bool:
        """Whether the host of `address`, with or without its port, is among the trusted ones."""
        parts = urlsplit(address)
        return bool(self.trusted & {parts.hostname or "", parts.netloc.rpartition("@")[2]})


@dataclass(frozen=True)
class Indexes:
    """Where to look for packages.

    `simple` are roots of the simple repository API, `links` flat lists (folders and pages); each an address or a path.
    """

    simple: tuple[str, ...]
    links: tuple[str, ...]
    access: Access = field(default_factory=Access)


def configured() -> Indexes:
    """The indexes of this user, in the order to try them; `PUBLIC` unless another default replaces it."""
    pip, uv = _pip_options(), _uv_options()
    default = [*uv.default, *pip["index-url"].split()] or [PUBLIC]
    none = pip["no-index"].strip().lower() in ("1", "true", "yes", "on")
    simple = [] if none else [*default, *uv.extra, *pip["extra-index-url"].split()]
    access = Access(
        pip["cert"] or os.environ.get("SSL_CERT_FILE", ""),
        frozenset(pip["trusted-host"].split() + os.environ.get("UV_INSECURE_HOST", "").split()),
        pip["proxy"],
    )
    links = [*pip["find-links"].split(), *uv.links]
    return Indexes(tuple(dict.fromkeys(simple)), tuple(dict.fromkeys(links)), access)


def _pip_options() -> dict[str, str]:
    """Every option of `_KEYS`, "" if it is not set: sections win over files, the environment over both."""
    sections: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for file in _pip_files():
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue  # pip would complain about such a file; the weights may be found without it
        for section in parser.sections():
            sections[section] |= {key.replace("_", "-"): value for key, value in parser[section].items()}
    found = sections["global"] | sections["install"] | sections["download"]
    chosen = {key: os.environ.get(f"PIP_{key.upper().replace('-', '_')}", "") for key in _KEYS}
    return {key: chosen[key] or found.get(key, "") for key in _KEYS}


def _pip_files() -> list[Path]:
    """pip's configuration files; later ones win over earlier ones."""
    own = os.environ.get("PIP_CONFIG_FILE", "")
    if own == os.devnull:
        return []
    shared = platformdirs.site_config_dir("pip", appauthor=False, multipath=True).split(os.pathsep)
    folders = [*map(Path, shared), ETC]
    if not (own and Path(own).is_file()):
        personal = platformdirs.user_config_dir("pip", appauthor=False, roaming=True)
        folders += [Path.home() / ".pip", Path.home() / ".config" / "pip", Path(personal)]
    name = "pip.ini" if sys.platform == "win32" else "pip.conf"
    files = [folder / name for folder in (*folders, Path(sys.prefix))]
    return [*files, Path(own)] if own else files


@dataclass
class _Uv:
    default: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)


def _uv_options() -> _Uv:
    """What uv's variables say and, if they leave the default open, its files."""
    env = os.environ.get
    found = _Uv(
        _unnamed(env("UV_DEFAULT_INDEX", "") or env("UV_INDEX_URL", "")),
        _unnamed(env("UV_INDEX", "")) + _unnamed(env("UV_EXTRA_INDEX_URL", "")),
        [link for link in env("UV_FIND_LINKS", "").split(",") if link],
    )
    for file in _uv_files():
        try:
            content = tomllib.loads(file.read_text(encoding="utf-8"))
            of_file = _of_uv_file(content)
        except (OSError, ValueError, AttributeError, KeyError, TypeError):
            continue  # no file, or one that uv would not accept either
        found.default = found.default or of_file.default
        found.extra += of_file.extra
        found.links += of_file.links
    return found


def _uv_files() -> list[Path]:
    own = os.environ.get("UV_CONFIG_FILE", "")
    if own:
        return [Path(own)]
    shared = platformdirs.site_config_dir("uv", appauthor=False, multipath=True).split(os.pathsep)
    personal = platformdirs.user_config_dir("uv", appauthor=False, roaming=True)
    folders = [Path(personal), Path.home() / ".config" / "uv", *map(Path, shared), ETC / "uv"]
    return [folder / "uv.toml" for folder in folders]


def _of_uv_file(content: dict[str, Any]) -> _Uv:
    found = _Uv()
    for table in (content, content.get("pip", {})):
        found.default += [table["index-url"]] if "index-url" in table else []
        found.extra += table.get("extra-index-url", [])
        found.links += table.get("find-links", [])
    for index in content.get("index", []):
        kind = found.links if index.get("format") == "flat" else found.default if index.get("default") else found.extra
        kind.append(index["url"])
    return found


def _unnamed(text: str) -> list[str]:
    """The addresses of a list in which each may have a name in front, as in `corp=https://...`."""
    return [word.partition("=")[2] if "=" in word.partition("://")[0] else word for word in text.split()]
