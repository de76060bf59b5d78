"""Extras: what is missing is one line that says what to install, and `mgi doctor` says which are here."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError

import pytest

from flows.doctor import _extras
from flows.extras import extras
from mgi.profiles import load_config
from mgi.translators.networks import inspect
from mgi.weights import WeightsMissing, fetch, zoo
from storage.remote.bucket import Bucket, RemoteError
from tasks.evaluation import resolved

STATED = [
    "torch>=2.11",
    "obstore>=0.12; extra == 's3'",
    'lpips; extra == "metrics"',
    'other-thing; extra == "metrics"',
    'mgi[metrics,s3]; extra == "dev"',
    'ruff; extra == "dev"',
]


def installed(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    def version(name: str) -> str:
        if name.replace("-", "_") not in versions:
            raise PackageNotFoundError(name)
        return versions[name.replace("-", "_")]

    monkeypatch.setattr("flows.extras.requires", lambda name: STATED)
    monkeypatch.setattr("flows.extras.version", version)


def test_an_extra_is_here_if_all_that_it_names_is(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, obstore="0.13", lpips="0.1.4", ruff="1")
    assert extras() == {"dev": ["other-thing"], "metrics": ["other-thing"], "s3": []}
    (check,) = _extras()
    assert (check.level, check.found) == ("ok", "s3; not here: dev, metrics") and "mgi[NAME]" in check.advice


def test_an_old_version_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, obstore="0.11", lpips="0.1.4", other_thing="0.3", ruff="1")
    assert extras() == {"dev": ["obstore"], "metrics": [], "s3": ["obstore"]}
    installed(monkeypatch, obstore="0.12", lpips="0.1.4", other_thing="0.3", ruff="1")
    assert _extras()[0].found == "dev, metrics, s3"


def test_a_bucket_without_its_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(RemoteError, match=r"^s3://bucket/run: a bucket needs .*; run `pip install 'mgi\[s3\]'`$"):
        Bucket("s3://bucket/run")


def test_weights_without_their_package_are_missing_and_not_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "find_spec", lambda module: None)
    assert zoo.state(zoo.entry("lpips-vgg")) == "missing"
    said = r"^lpips-vgg needs the package lpips; run `pip install 'mgi\[metrics\]'`$"
    with pytest.raises(WeightsMissing, match=said):
        fetch("lpips-vgg")


def test_runs_and_their_plans_say_which_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "find_spec", lambda module: None)
    config = load_config("quick", method="stylegan2-projector", overrides={"inversion.budget": "published"})
    (network,) = [one for one in inspect(config) if one.name == "lpips-vgg"]
    assert "pip install 'mgi[metrics]'" in network.advice
    _, notes = resolved({}, load_config("quick"), "lpips")
    assert notes == ["metric lpips is not measured: lpips-vgg is missing, `pip install 'mgi[metrics]'`"]
