"""Rows of metrics and methods: found by name, loaded late, added by packages, and refused in one line."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from mgi import registry as registries
from mgi.config import METHODS
from mgi.metrics import registry as metrics
from mgi.metrics.base import PairMetric, SetMetric
from mgi.registry import Registry, RegistryError, Row
from mgi.translators import registry as methods
from mgi.translators.registry import Method, method, preset

SHARPNESS = PairMetric("sharpness", "how sharp", measure=lambda views, networks: 1.0)
SPREAD = SetMetric("spread", "how different")
NEGATIVE = Method("negative", "the source's negative", "nowhere:Negative")
NOT_A_ROW = 3
HERE = "test_registries"


@pytest.fixture(autouse=True)
def this_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows can name objects of this file."""
    monkeypatch.setitem(sys.modules, HERE, sys.modules[__name__])


def bring(monkeypatch: pytest.MonkeyPatch, **rows: str) -> None:
    """Pretend that a package brings these rows to both registries, which have not been read yet."""
    points = [EntryPoint(name.replace("_", "-"), value, "group") for name, value in rows.items()]
    monkeypatch.setattr(registries, "entry_points", lambda group: points)
    monkeypatch.setattr(metrics, "REGISTRY", Registry("metric", "mgi.metrics", metrics.OURS))
    monkeypatch.setattr(methods, "REGISTRY", Registry("method", "mgi.translators", methods.OURS))


def names(wanted: str, task: str = "translate") -> list[str]:
    return [found.name for found in metrics.chosen(wanted, task)]  # type: ignore[arg-type]


def one_line(error: pytest.ExceptionInfo[RegistryError]) -> bool:
    return "\n" not in str(error.value)


# Rows


def test_listing_names_imports_nothing_that_computes() -> None:
    code = """
import sys
from mgi.metrics.registry import REGISTRY as metrics
from mgi.translators.registry import REGISTRY as methods
print(len(metrics.rows), len(methods.rows), sorted({"torch", "scipy", "torchmetrics", "PIL"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, of_methods, imported = done.stdout.split(maxsplit=2)
    assert int(count) >= len(metrics.OURS) and int(of_methods) >= len(methods.OURS)
    assert imported.strip() == "[]"


def test_the_order_is_ours_then_other_packages_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    bring(monkeypatch, zeta="z:A", alpha="a.b:A")
    rows = metrics.REGISTRY.rows
    assert list(rows) == [*metrics.OURS, "alpha", "zeta"]
    assert rows["alpha"] == Row("alpha", "a.b:A", "a.b") and rows["l2"].package == "mgi"


def test_packages_are_looked_for_once_per_process(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(registries, "entry_points", lambda group: asked.append(group) or [])
    found = Registry("metric", "some.group", {"ours": f"{HERE}:SHARPNESS"})
    assert not asked  # not when the module is imported
    assert found.rows is found.rows
    assert found.load("ours") is SHARPNESS
    assert asked == ["some.group"]


def test_an_installed_package_says_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real entry points of a package on the path, as pip leaves them."""
    info = tmp_path / "face_metrics-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: face-metrics\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[mgi.metrics]\nsmile = face_metrics:SMILE\n", encoding="utf-8")
    module = (
        "from mgi.metrics.base import PairMetric\nSMILE = PairMetric('smile', 'how it smiles', needs=('source',))\n"
    )
    (tmp_path / "face_metrics.py").write_text(module, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(metrics, "REGISTRY", Registry("metric", "mgi.metrics", metrics.OURS))
    assert metrics.REGISTRY.rows["smile"] == Row("smile", "face_metrics:SMILE", "face-metrics")
    assert metrics.metric("smile").needs == ("source",)
    assert names("standard")[-1] == "smile"


# Refusals


def test_two_packages_of_one_name_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    bring(monkeypatch, ssim="face_metrics:SSIM")
    with pytest.raises(RegistryError, match="two metrics are called ssim: one of mgi, one of face_metrics;") as error:
        _ = metrics.REGISTRY.rows
    assert one_line(error)
    twice = [EntryPoint("smile", f"{package}:SMILE", "group") for package in ("faces", "smiles")]
    monkeypatch.setattr(registries, "entry_points", lambda group: twice)
    with pytest.raises(RegistryError, match="called smile: one of faces, one of smiles; uninstall one"):
        _ = Registry("metric", "group", {}).rows


def test_an_unknown_name_is_answered_by_those_there_are() -> None:
    with pytest.raises(
        RegistryError, match=r"unknown metric 'fad' \(did you mean fid\?\); use one of l2, vgg, "
    ) as error:
        metrics.metric("fad")
    assert one_line(error)
    with pytest.raises(RegistryError, match=r"unknown method 'colourise'; use one of mgi, mganprior, .*exemplar-warp"):
        method("colourise")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("no_such_module:A", "ModuleNotFoundError: No module named 'no_such_module'"),
        (f"{HERE}:Missing", "AttributeError: .* has no attribute 'Missing'"),
        (HERE, "AttributeError"),
        ("broken_package:A", "SyntaxError"),
        ("raising_package:A", "RuntimeError: needs a GPU of two lines"),
    ],
)
def test_a_broken_package_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, target: str, reason: str
) -> None:
    (tmp_path / "broken_package.py").write_text("def :\n", encoding="utf-8")
    (tmp_path / "raising_package.py").write_text("raise RuntimeError('needs a GPU\\n  of two lines')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    bring(monkeypatch, broken=target)
    assert "broken" in metrics.REGISTRY.rows  # a list of names still works
    package = target.partition(":")[0]
    for kind, load in (("metric", metrics.metric), ("method", method)):
        with pytest.raises(RegistryError, match=f"^{kind} broken of {package} cannot be loaded \\({reason}") as error:
            load("broken")
        assert one_line(error)
    with pytest.raises(RegistryError, match=r"method negative: .* cannot be loaded") as error:
        Method("negative", "the source's negative", target).load()
    assert one_line(error)


def test_a_row_has_to_be_what_its_registry_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    bring(monkeypatch, number=f"{HERE}:NOT_A_ROW", sharp=f"{HERE}:SHARPNESS", inverse=f"{HERE}:NEGATIVE")
    with pytest.raises(RegistryError, match=f"metric number of {HERE}: expected a PairMetric or a SetMetric, found 3"):
        metrics.metric("number")
    with pytest.raises(RegistryError, match=f"method number of {HERE}: expected an .*Method, found 3"):
        method("number")
    with pytest.raises(RegistryError, match=r"metric inverse of .* expected a PairMetric"):
        metrics.metric("inverse")
    with pytest.raises(RegistryError, match="metric sharp calls itself sharpness; both names have to be the same"):
        metrics.metric("sharp")
    with pytest.raises(RegistryError, match="method inverse calls itself negative; both names have to be the same"):
        method("inverse")


# What the user asks for


def test_the_standard_metrics_of_a_task() -> None:
    assert names("standard", "translate") == ["l2", "vgg", "structure", "structure-lite0", "style", "detail"]
    assert names("standard", "invert") == ["l2", "vgg", "psnr", "ssim", "structure", "structure-lite0", "detail"]
    assert names("none") == names("") == names(" , ") == []


def test_names_come_in_the_registrys_order_and_once() -> None:
    assert names("standard,lpips") == ["l2", "vgg", "lpips", "structure", "structure-lite0", "style", "detail"]
    assert names(" sifid, lpips ,lpips,none") == ["lpips", "sifid"]
    assert names("psnr", "translate") == ["psnr"]  # asked for by name, for any task


def test_what_cannot_be_chosen_is_refused() -> None:
    with pytest.raises(RegistryError, match=r"unknown metric 'lpisp' \(did you mean lpips\?\); use one of"):
        names("standard,lpisp")
    with pytest.raises(RegistryError, match="set-fid is for whole sets; choose metrics of pairs: l2, vgg") as error:
        names("set-fid")
    assert "relative-frechet" not in str(error.value) and one_line(error)


def test_metrics_of_other_packages_are_standard(monkeypatch: pytest.MonkeyPatch) -> None:
    bring(monkeypatch, sharpness=f"{HERE}:SHARPNESS", spread=f"{HERE}:SPREAD")
    assert names("standard")[-2:] == ["detail", "sharpness"]
    assert names("l2") == ["l2"] and names("none") == []
    assert names("sharpness") == ["sharpness"]
    with pytest.raises(RegistryError, match="spread is for whole sets"):
        names("spread")


def test_metrics_that_were_not_asked_for_are_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    bring(monkeypatch, broken="no_such_module:A")
    assert names("l2,psnr") == ["l2", "psnr"]
    with pytest.raises(RegistryError, match="metric broken of no_such_module cannot be loaded"):
        names("standard")


# Methods


@pytest.mark.parametrize("name", methods.OURS)
def test_every_method_of_ours_loads(name: str) -> None:
    found = method(name)
    assert found.name == name and found.paper and "\n" not in found.summary
    assert callable(found.load())


def test_only_the_inversion_family_has_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in METHODS:
        assert preset(name, "none", "profile")["method"] == name
    assert preset("exemplar-warp", "none", "published") == {}
    bring(monkeypatch, negative=f"{HERE}:NEGATIVE")
    assert preset("negative", "none", "published") == {}
    with pytest.raises(RegistryError, match="unknown method"):
        preset("colourise", "none", "profile")


def test_published_settings_come_on_top_of_a_methods_own() -> None:
    def settings(degradation: str) -> dict[str, object]:
        return {"steps": 1, "degradation": degradation}

    def published(degradation: str) -> dict[str, object]:
        return {"steps": 2}

    row = Method("mgi", "", "", settings=settings, published=published)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(methods, "method", lambda name: row)
        assert preset("mgi", "gray", "profile") == {"method": "mgi", "steps": 1, "degradation": "gray"}
        assert preset("mgi", "gray", "published") == {"method": "mgi", "steps": 2, "degradation": "gray"}


def test_networks_of_a_method_are_those_of_its_configuration_and_its_own() -> None:
    from mgi.profiles import load_config

    config = load_config("quick")
    row = Method("x", "", "", weights=("vgg19-imagenet",), needs=lambda config: [("generator", config.generator)])
    assert row.networks(config) == [("generator", "kaokore-64"), ("method", "vgg19-imagenet")]
    assert Method("x", "", "").networks(config) == []
    assert method("exemplar-warp").networks(config) == [("warp", config.warp.backbone)]
