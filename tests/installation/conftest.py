"""A source distribution, the wheel built from it, and an environment with that wheel beside other people's packages."""

from __future__ import annotations

import sysconfig
import tarfile
import venv
from pathlib import Path

import pytest
from installing import DECOYS, Installed, python
from places import ROOT

OFFLINE = ("--no-index", "--no-deps", "--disable-pip-version-check", "--quiet")


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, built and unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    code = "import sys, build_backend; build_backend.build_sdist(sys.argv[1])"
    python("-c", code, folder, cwd=ROOT)
    (archive,) = folder.glob("mgi-*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    archive.unlink()
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="session")
def wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as pip builds it of that, without a network; stored, not compressed, to save time."""
    folder = tmp_path_factory.mktemp("wheel")
    stored = ("-C", "--build-option=--compression=stored")
    python("-m", "pip", "wheel", *OFFLINE, "--no-build-isolation", *stored, "-w", folder, unpacked, cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel in a fresh environment, beside packages of its old names that refuse to be imported."""
    folder = tmp_path_factory.mktemp("installed")
    environment = folder / "environment"
    venv.create(environment, with_pip=False)
    interpreter = environment / "bin" / "python"
    python("-m", "pip", "--python", interpreter, "install", *OFFLINE, wheel, cwd=folder)
    (site,) = (environment / "lib").glob("python3.*/site-packages")
    for name in DECOYS:
        (site / name).mkdir()
        (site / name / "__init__.py").write_text(f'raise ImportError("this is somebody else\'s package {name}")\n')
    # Dependencies come from this environment. Folders added by a .pth file are searched last, and .pth files in them,
    # such as an editable mgi's, are not read.
    others = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "dependencies.pth").write_text("".join(f"{path}\n" for path in sorted(others)))
    return Installed(environment, folder)
