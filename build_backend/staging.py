"""The project as a wheel has it: a copy in a temporary folder, with the pipeline's packages in one of their own."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from build_backend.references import NAMESPACE, PACKAGES, moved

DOCSTRING = '"""The pipeline of mgi: what lies at the top of its repository as flows, tasks, storage and suites."""\n'

_QUOTED = re.compile(rf'"(?=(?:{"|".join(PACKAGES)})(?:\.\w+)*(?::\w+)?\*?")')
_FILE = re.compile(rf"(\bentrypoint: *)((?:{'|'.join(PACKAGES)})/[\w/]+)\.py:(\w+)")
_STEP = re.compile(rf"^( *(?:- +)?(?:entrypoint: *)?)((?:{'|'.join(PACKAGES)})\.[\w.]+)", re.MULTILINE)


@contextmanager
def staged(project: Path) -> Iterator[Path]:
    """Make the copy, work in it, and remove it.

    Raises:
        build_backend.references.Unmovable: a module names another in a way that cannot be moved; one line.
    """
    before = Path.cwd()
    with TemporaryDirectory(prefix="mgi-wheel-") as folder:
        stage(project, Path(folder))
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)


def stage(project: Path, target: Path) -> None:
    """Write the wheel's layout of `project` to the empty folder `target`; `mgi` is copied as it is."""
    skip = shutil.ignore_patterns("__pycache__", "*.pyc")
    home = target / NAMESPACE
    shutil.copytree(project / "mgi", target / "mgi", ignore=skip)
    for package in PACKAGES:
        shutil.copytree(project / package, home / package, ignore=skip)
    modules = known_modules(project)
    for file in sorted(home.rglob("*.py")):
        source = file.read_bytes()
        rewritten = moved(source, modules, str(file.relative_to(target)))
        if rewritten != source:
            file.write_bytes(rewritten)
    (home / "__init__.py").write_text(DOCSTRING, encoding="utf-8")
    deployments = (project / "prefect.yaml").read_text(encoding="utf-8")
    (home / "prefect.yaml").write_text(moved_deployments(deployments), encoding="utf-8")
    for name in ("README.md", "LICENSE"):
        shutil.copy(project / name, target)
    settings = (project / "pyproject.toml").read_text(encoding="utf-8")
    (target / "pyproject.toml").write_text(moved_settings(settings), encoding="utf-8")


def known_modules(project: Path) -> frozenset[str]:
    """Dotted names of all packages and modules that move, without `PACKAGES` themselves."""
    files = (file.relative_to(project) for package in PACKAGES for file in (project / package).rglob("*.py"))
    names = (".".join(file.parent.parts if file.stem == "__init__" else file.with_suffix("").parts) for file in files)
    return frozenset(names) - frozenset(PACKAGES)


def moved_settings(text: str) -> str:
    """pyproject.toml with every quoted name of a package, a module or an entry point that moves."""
    return _QUOTED.sub(f'"{NAMESPACE}.', text)


def moved_deployments(text: str) -> str:
    """prefect.yaml with steps and entrypoints of the wheel's modules; entrypoints that are files of a clone, too."""
    named = _FILE.sub(lambda found: f"{found[1]}{found[2].replace('/', '.')}.{found[3]}", text)
    return _STEP.sub(rf"\g<1>{NAMESPACE}.\g<2>", named)
