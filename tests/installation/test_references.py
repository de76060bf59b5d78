"""What a build of a wheel changes in a module, and what it must leave alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from places import ROOT

from build_backend.references import PACKAGES, Unmovable, moved
from build_backend.staging import known_modules, moved_deployments, moved_settings

MODULES = frozenset({"flows.cli", "tasks.unit", "tasks.stages", "tasks.stages.warp", "storage.atomic"})


def move(source: str) -> str:
    return moved(source.encode(), MODULES, "module.py").decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from tasks.unit import Job", "from mgi_pipeline.tasks.unit import Job"),
        ("from  tasks import unit  # ours", "from  mgi_pipeline.tasks import unit  # ours"),
        ("from \\\n  tasks import unit", "from \\\n  mgi_pipeline.tasks import unit"),
        ("import tasks.unit as unit", "import mgi_pipeline.tasks.unit as unit"),
        ("import os, tasks.unit as unit", "import os, mgi_pipeline.tasks.unit as unit"),
        ("import suites", "from mgi_pipeline import suites"),
        ("import suites as ours", "import mgi_pipeline.suites as ours"),
        ("def f():\n    from storage import atomic", "def f():\n    from mgi_pipeline.storage import atomic"),
        ("x = 'ä'; from tasks import unit", "x = 'ä'; from mgi_pipeline.tasks import unit"),
        ('load("flows.cli:main")', 'load("mgi_pipeline.flows.cli:main")'),
        ("load('tasks.stages.warp')", "load('mgi_pipeline.tasks.stages.warp')"),
        ('patch("tasks.unit.WAIT", 1)', 'patch("mgi_pipeline.tasks.unit.WAIT", 1)'),
        ('resources.files("suites")', 'resources.files("mgi_pipeline.suites")'),
        ('import_module("tasks")', 'import_module("mgi_pipeline.tasks")'),
        ('"""D.\n\n>>> from tasks.unit import Job\n"""', '"""D.\n\n>>> from mgi_pipeline.tasks.unit import Job\n"""'),
    ],
)
def test_references_are_changed(before: str, after: str) -> None:
    assert move(before + "\n") == after + "\n"


@pytest.mark.parametrize(
    "source",
    [
        "from .tasks import unit",
        "from mgi.images import resize",
        "import storages, flowstate",
        "import torch; torch.storage.load()",
        'kind = "storage"; {"tasks": 1}["tasks"]',
        'raise ValueError("tasks.unit is busy")',
        'names = ("tasks.nothing", "storage.size", "suites.toml", "flows/translate.py")',
        '"""See `tasks.unit`, and from tasks import nothing."""',
        "# from tasks import unit",
        'f"{x}: tasks.unit of {y}"',
        "tasks = 1; tasks.real",
        'files("photos"); len("tasks")',
    ],
)
def test_everything_else_keeps_its_bytes(source: str) -> None:
    assert move(source + "\n") == source + "\n"


@pytest.mark.parametrize(
    "source",
    [
        "import tasks.unit",
        "import os, tasks",
        'load(f"tasks.stages.{name}")',
        "f\"{load('tasks.unit')}\"",
        'load("tasks." "unit")',
        '""">>> import tasks.unit\n"""',
    ],
)
def test_what_cannot_be_changed_safely_stops_the_build_and_names_the_line(source: str) -> None:
    with pytest.raises(Unmovable, match=r"^module\.py:2: "):
        move("\n" + source + "\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('mgi = "flows.cli:main"', 'mgi = "mgi_pipeline.flows.cli:main"'),
        ('"suites" = ["*.toml"]', '"mgi_pipeline.suites" = ["*.toml"]'),
        ('include = ["flows*", "mgi*"]', 'include = ["mgi_pipeline.flows*", "mgi*"]'),
        ('description = "tasks.md and flows of it"', 'description = "tasks.md and flows of it"'),
    ],
)
def test_settings_name_what_a_wheel_has(before: str, after: str) -> None:
    assert moved_settings(before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("    entrypoint: flows/cli.py:main", "    entrypoint: mgi_pipeline.flows.cli.main"),
        ("    entrypoint: flows.cli.main", "    entrypoint: mgi_pipeline.flows.cli.main"),
        ("  - flows.pull.folder: {}", "  - mgi_pipeline.flows.pull.folder: {}"),
        ("# flows.pull says why", "# flows.pull says why"),
    ],
)
def test_deployments_name_what_a_wheel_has(before: str, after: str) -> None:
    assert moved_deployments(before) == after


def test_mgi_names_nothing_that_moves() -> None:
    ours, modules = "|".join(PACKAGES), "|".join(sorted(known_modules(ROOT)))
    named = re.compile(rf"""(?:from|import)\s+(?:{ours})\b|["'](?:{modules})[.:"']""")
    for file in (ROOT / "mgi").rglob("*.py"):
        assert named.search(file.read_text(encoding="utf-8")) is None, file


def test_every_module_of_the_repository_can_be_moved(tmp_path: Path) -> None:
    modules = known_modules(ROOT)
    assert {"tasks.unit", "flows.cli", "tasks.stages"} <= modules and "tasks" not in modules
    for package in PACKAGES:
        for file in (ROOT / package).glob("*.py"):
            moved(file.read_bytes(), modules, str(file))
