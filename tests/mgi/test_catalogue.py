"""What `mgi methods` and `mgi metrics` list: every row, its networks, and which of them are missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgi import catalogue
from mgi.metrics.registry import OURS as METRICS
from mgi.registry import Row
from mgi.translators.registry import OURS as METHODS


def test_every_row_of_ours_is_listed_with_its_networks() -> None:
    methods = {row["name"]: row for row in catalogue.method_rows()}
    assert set(METHODS) <= set(methods)
    warped = ["mobile-stylegan-ffhq", "vgg16-imagenet", "descriptor-mobile-stylegan-ffhq"]
    warped.append("critic-mobile-stylegan-ffhq")
    assert list(methods["pulse"]["weights"]) == warped
    assert methods["mgi"]["can"] == ["translate", "warp", "invert pictures", "search", "edit"]
    assert methods["exemplar-warp"]["can"] == ["translate", "warp"]
    metrics = {row["name"]: row for row in catalogue.metric_rows()}
    assert set(METRICS) <= set(metrics)
    assert metrics["psnr"]["better"] == "↑" and metrics["psnr"]["unit"] == "dB"
    assert metrics["set-fid"]["per"] == "set" and metrics["spatial-fd"]["networks"] == "that of the domain"


def test_a_missing_network_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGI_WEIGHTS_DIR", str(tmp_path))
    metrics = {row["name"]: row for row in catalogue.metric_rows()}
    assert metrics["vgg"]["state"] == "missing" and metrics["vgg"]["networks"] == "vgg16-imagenet (missing)"
    assert metrics["l2"]["state"] == "here" and metrics["l2"]["networks"] == ""


def test_a_row_that_cannot_be_loaded_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {"broken": Row("broken", "no_such_module:METRIC", "strangers")}
    for registry in (catalogue.METRICS, catalogue.METHODS):
        monkeypatch.setattr(registry, "rows", broken)
    for (row,) in (catalogue.metric_rows(), catalogue.method_rows()):
        assert row["state"] == "broken" and "of strangers cannot be loaded (ModuleNotFoundError" in row["summary"]
