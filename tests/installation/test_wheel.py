"""What pip installs: one namespace beside `mgi`, which works from any folder and beside packages of our old names."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml
from installing import DECOYS, Installed, python
from places import ROOT
from processes import good_folder, whole

pytestmark = pytest.mark.slow

IMPORT_ALL = """
import importlib, pkgutil, sys
import mgi, mgi_pipeline
from prefect.flows import load_flow_from_entrypoint

for package in (mgi, mgi_pipeline):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
            print(found.name)
assert not {"flows", "tasks", "storage", "suites"} & set(sys.modules)
for entrypoint in sys.argv[1:]:
    assert load_flow_from_entrypoint(entrypoint).fn.__module__.startswith("mgi_pipeline."), entrypoint
"""


def files_of(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file() and file.suffix != ".pyc"}


def test_a_source_distribution_has_what_the_repository_has(unpacked: Path) -> None:
    made = {"PKG-INFO", "setup.cfg"} | {name for name in files_of(unpacked) if name.startswith("mgi.egg-info/")}
    if not (ROOT / ".git").exists():
        assert {"tests/conftest.py", "Makefile", "docs/installation.md"} <= files_of(unpacked)
        pytest.skip("this is no clone: there is nothing to compare with")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    ours = {name for name in listed if name and (ROOT / name).is_file()}
    assert files_of(unpacked) - made == ours


def test_tests_run_from_a_source_distribution(unpacked: Path) -> None:
    said = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_structure.py", "storage", cwd=unpacked)
    assert " passed" in said


def test_a_wheel_has_nothing_at_the_top_but_our_namespace(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = {name.partition("/")[0] for name in names if ".dist-info/" in name}
        assert {name.partition("/")[0] for name in names} == {"mgi", "mgi_pipeline", metadata}
        assert "mgi = mgi_pipeline.flows.cli:main" in archive.read(f"{metadata}/entry_points.txt").decode()
        for name in sorted(files_of(ROOT / "mgi")):
            assert archive.read(f"mgi/{name}") == (ROOT / "mgi" / name).read_bytes(), name
    for package in DECOYS:
        start = f"mgi_pipeline/{package}/"
        assert {name.removeprefix(start) for name in names if name.startswith(start)} == files_of(ROOT / package)


def test_every_module_and_flow_of_it_imports_beside_strangers_of_the_same_names(installed: Installed) -> None:
    (deployments,) = installed.environment.glob("lib/python3.*/site-packages/mgi_pipeline/prefect.yaml")
    entrypoints = [one["entrypoint"] for one in yaml.safe_load(deployments.read_text())["deployments"]]
    assert len(entrypoints) >= 5
    ended = installed("-c", IMPORT_ALL, *entrypoints, program="python")
    assert ended.code == 0, ended.err
    assert len(ended.out.splitlines()) == sum(len(list((ROOT / name).rglob("*.py"))) for name in ("mgi", *DECOYS)) - 3


def test_commands_work_from_another_folder(installed: Installed) -> None:
    ended = installed("--version")
    assert (ended.code, ended.out.split()[:2]) == (0, ["mgi", "0.1.0"]), ended.err
    assert "kaokore" in installed("suites").out
    assert installed("init", "mine.toml").code == 0 and (installed.folder / "mine.toml").is_file()
    examined = installed("doctor")
    assert "versions" in examined.out and "Traceback" not in examined.out + examined.err
    assert "reinstall" not in examined.out, "a check raised"
    started = installed("-m", "mgi", "--version", program="python")
    assert started.out == ended.out, started.err


@pytest.mark.long
def test_dask_workers_translate_and_a_wrong_picture_is_told_in_one_line(installed: Installed) -> None:
    good_folder(installed.folder)
    (installed.folder / "sources" / "s2.png").write_text("no picture")
    asked = ("translate", "sources", "exemplars", "--out", "run", "--profile", "small.toml", "--workers", "1")
    ended = installed(*asked, "--pairing", "product")
    run = installed.folder / "run"
    assert ended.code == 3, ended.err
    assert len(whole(run)) == 4
    assert (run / "report.html").is_file() and (run / "contact_sheet.png").is_file()
    reasons = (run / "quarantine.csv").read_text()
    assert "s2.png" in reasons and "Error" not in reasons, "an error of ours has its type's name in front"
