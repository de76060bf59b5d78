"""`mgi doctor` names versions of other packages that install, import and then break."""

from __future__ import annotations

from importlib.metadata import requires
from importlib.metadata import version as installed

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from typer.testing import CliRunner, Result

from flows.cli import app
from flows.known_bad import KNOWN_BAD

BAD = {"fastapi": "0.165.0", "sqlalchemy": "2.1.3", "scipy": "1.18.0", "torch": "2.13.0+cpu"}
GOOD = {"fastapi": "0.150.0", "sqlalchemy": "2.0.58", "scipy": "1.17.1", "torch": "2.13.0+cu130"}


@pytest.fixture(autouse=True)
def only_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """What else the doctor examines takes seconds, and depends on the machine."""
    others = ("versions", "requirements", "extras", "torch", "workers", "weights", "disk", "prefect", "environment")
    for name in others:
        monkeypatch.setattr(f"flows.doctor._{name}", list)


def doctor(monkeypatch: pytest.MonkeyPatch, changed: dict[str, str]) -> Result:
    monkeypatch.setattr("flows.known_bad.version", lambda name: changed.get(name) or installed(name))
    return CliRunner().invoke(app, ["doctor"])


@pytest.mark.parametrize("package", BAD)
def test_a_version_that_breaks_is_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    result = doctor(monkeypatch, {package: BAD[package]})
    found, advice = result.stdout.splitlines()
    assert result.exit_code == 1
    assert found.startswith("BAD") and f"{package} {BAD[package]}: " in found
    assert "-> pip install " in advice and package in advice


def test_all_that_break_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {row.package for row in KNOWN_BAD} == set(BAD) == set(GOOD), "a new row needs its versions here"
    lines = doctor(monkeypatch, BAD).stdout.splitlines()
    assert [line.split()[3] for line in lines[::2]] == [row.package for row in KNOWN_BAD]


def test_versions_beside_them_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    result = doctor(monkeypatch, GOOD)
    assert result.exit_code == 0 and f"none of {len(KNOWN_BAD)}" in result.output


def test_a_package_that_is_absent_is_not_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import PackageNotFoundError

    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("flows.known_bad.version", absent)
    assert CliRunner().invoke(app, ["doctor"]).exit_code == 0


def test_our_requirements_admit_no_version_above_that_breaks() -> None:
    ours = {item.name: item.specifier for item in map(Requirement, requires("mgi") or [])}
    for row in KNOWN_BAD:
        (part,) = SpecifierSet(row.versions)
        if part.operator == ">=":  # a single build cannot be excluded without excluding its good ones
            assert not ours[row.package].contains(part.version), row.package
