"""docs/architecture.md names only what exists, leaves no equation out, and its diffs apply and work."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import grimp
import pandas
import pytest
from places import ROOT
from runs import environment, make_inputs, results, translate_command

PAGE = ROOT / "docs" / "architecture.md"
TEXT = PAGE.read_text(encoding="utf-8")
PROSE = re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)
QUOTED = sorted(set(re.findall(r"`([^`\n]+)`", PROSE)))
PACKAGES = ("flows", "tasks", "mgi", "storage")
HAS_PATH = re.compile(rf"(?:{'|'.join(PACKAGES)}|tests|docs|benchmarks)/[\w./-]*|pyproject\.toml")


def rows(heading: str) -> list[list[str]]:
    """Cells of the last table under a heading, without the table's head."""
    section = PROSE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = re.findall(r"(?:^\|.*\|\n)+", section, flags=re.MULTILINE)[-1].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.mark.parametrize("name", [quoted for quoted in QUOTED if re.fullmatch(r"mgi[\w.]*:[\w.]+", quoted)])
def test_every_function_exists(name: str) -> None:
    module, _, path = name.partition(":")
    found: Any = import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    assert callable(found)
    assert found.__module__ == module, f"{name} is only imported there"


def test_every_path_exists() -> None:
    named = [quoted.partition(":") for quoted in QUOTED if HAS_PATH.fullmatch(quoted.partition(":")[0])]
    assert len(named) > 40
    for path, _, test in named:
        assert (ROOT / path).exists(), path
        assert not test or f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}:{test}"
    for link in re.findall(r"\]\(([^)#]+)", TEXT):
        assert (PAGE.parent / link).exists(), link


@pytest.mark.parametrize(("paper", "last"), [("MGI", 7), ("OEFT", 12)])
def test_no_equation_is_left_out(paper: str, last: int) -> None:
    numbers: set[int] = set()
    for cells in rows("Equations"):
        for first, end in re.findall(rf"\b{paper} (\d+)(?:-(\d+))?(?![.\d])", cells[0]):
            numbers |= set(range(int(first), int(end or first) + 1))
        assert "`mgi." in cells[2], cells
    assert numbers == set(range(1, last + 1))


def test_packages_import_what_the_page_allows() -> None:
    allowed = {name: set(re.findall(r"\w+", cells[2])) for cells in rows("The map") for name in in_quotes(cells[0])}
    order = list(allowed)
    for number, package in enumerate(order):
        assert allowed[package] <= set(order[number + 1 :]), f"{package} may import what does not stand below it"
    graph = grimp.build_graph("mgi", cache_dir=None)
    for module in graph.modules - {"mgi", "mgi.__main__"}:
        package = module.split(".")[1]
        imported = {other.split(".")[1] for other in graph.find_modules_directly_imported_by(module) if other != "mgi"}
        assert imported - {package} <= allowed[package], f"{module} imports what docs/architecture.md does not name"


def test_every_folder_of_tasks_is_listed() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", PROSE.split("| in `tasks/` |")[1].split("\n\n")[0], flags=re.MULTILINE)
    assert sorted(listed) == sorted(path.parent.name for path in (ROOT / "tasks").glob("*/__init__.py"))


def in_quotes(text: str) -> list[str]:
    return re.findall(r"`(\w+)`", text)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages as links, with every diff of the page applied."""
    folder = tmp_path_factory.mktemp("scratch")
    for package in PACKAGES:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, copy_function=os.symlink, ignore=ignore)
    (source, copy) = re.findall(r"`cp (\S+) (\S+)`", TEXT)[0]
    shutil.copyfile(folder / source, folder / copy)
    for diff in re.findall(r"```diff\n(.*?)```", TEXT, flags=re.DOTALL):
        apply(diff, folder)
    return folder


def test_every_diff_applies(scratch: Path) -> None:
    new = re.findall(r"^--- /dev/null\n\+\+\+ b/(\S+)", TEXT, flags=re.MULTILINE)
    assert len(new) == 4
    assert all((scratch / name).is_file() for name in new)


def apply(diff: str, folder: Path) -> None:
    """Make the changes of a unified diff, wherever in a file their lines are."""
    for old, name, body in re.findall(r"--- (\S+)\n\+\+\+ b/(\S+)\n(.*?)(?=^--- |\Z)", diff, re.DOTALL | re.MULTILINE):
        path = folder / name
        text = "" if old == "/dev/null" else path.read_text(encoding="utf-8")
        for hunk in re.split(r"^@@.*\n", body, flags=re.MULTILINE)[1:]:
            before, after = side(hunk, " -"), side(hunk, " +")
            assert old == "/dev/null" or text.count(before) == 1, f"the page changes what {name} does not hold:\n{hunk}"
            text = text.replace(before, after) if before else after
        path.unlink(missing_ok=True)
        path.write_text(text, encoding="utf-8")


def side(hunk: str, kept: str) -> str:
    return "".join(line[1:] for line in hunk.splitlines(keepends=True) if line[0] in kept)


def run(code: str, *paths: Path) -> Any:
    """What a fresh Python that sees these folders prints as JSON."""
    there = environment(PYTHONPATH=os.pathsep.join(map(str, paths)))
    del there["MGI_METHOD_FACTORY"]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=there, cwd=paths[0], timeout=120, check=False
    )
    assert not done.returncode, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


JUDGE = """
import json, torch
from pathlib import Path
from mgi.images import to_float
from mgi.metrics.base import Views
from mgi.metrics.registry import metric
from mgi.profiles import load_config
from mgi.translators import load_translator
from numpy.random import default_rng

random = default_rng(0)
source, exemplar = (random.integers(low, low + 90, (128, 128, 3)).astype("uint8") for low in (20, 140))
translator = load_translator(load_config("quick", method="colour-transfer"), "cpu")
result = translator.translate(source, exemplar).image
measured = [
    metric("mean-colour")(Views(result=to_float(image), exemplar=to_float(exemplar)), lambda name: None)
    for image in (result, source)
]
"""


@pytest.mark.slow
def test_the_metric_the_method_the_layout_and_the_profile_work(scratch: Path, tmp_path: Path) -> None:
    code = f"""{JUDGE}
from mgi.generators import load_file
whole = load_file(Path({str(ROOT / "tests/golden/pggan_mganprior.pth")!r}))
names = [f"conv{{n}}" for n in range(whole.layers)] + ["rgb"]
state = {{f"{{name}}.{{kind}}": whole.get_buffer(f"{{kind}}{{n}}") for n, name in enumerate(names)
         for kind in ("weight", "bias")}}
torch.save(state, {str(tmp_path / "plain.pth")!r})
z = torch.randn(2, whole.z_dim)
same = torch.equal(load_file(Path({str(tmp_path / "plain.pth")!r}))(z), whole(z))
print(json.dumps([measured, result.shape, same, load_config("quick-oeft").warp.method]))
"""
    (after, before), shape, same, warp = run(code, scratch)
    assert shape == [128, 128, 3]
    assert after < 1e-4 < 0.1 < before
    assert same
    assert warp == "oeft"


@pytest.mark.slow
def test_a_package_of_ones_own_brings_both(scratch: Path, tmp_path: Path) -> None:
    """As installed: modules, and the entry points that the page's pyproject.toml names."""
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").touch()
    for file in ("metrics/mean_colour.py", "translators/colour_transfer.py"):
        text = (scratch / "mgi" / file).read_text(encoding="utf-8")
        own = text.replace("mgi.translators.colour_transfer:", "my_package.colour_transfer:")
        (package / Path(file).name).write_text(own, encoding="utf-8")
    told = tomllib.loads(re.findall(r"```toml\n(.*?)```", TEXT, flags=re.DOTALL)[0])["project"]["entry-points"]
    lines = [line for group, rows in told.items() for line in (f"[{group}]", *(f"{k} = {v}" for k, v in rows.items()))]
    facts = tmp_path / "my_package-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1\n", encoding="utf-8")
    (facts / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    code = f"""{JUDGE}
from mgi.metrics.registry import REGISTRY as metrics
from mgi.translators.registry import REGISTRY as methods
packages = [metrics.rows["mean-colour"].package, methods.rows["colour-transfer"].package]
print(json.dumps([measured, packages, type(translator).__module__]))
"""
    (after, before), packages, module = run(code, tmp_path, ROOT)
    assert after < 1e-4 < 0.1 < before
    assert packages == ["my-package", "my-package"]
    assert module == "my_package.colour_transfer"


@pytest.mark.slow
def test_a_run_with_the_method_the_metric_and_the_stage(scratch: Path, tmp_path: Path) -> None:
    folder, seen = make_inputs(tmp_path / "in", 2), tmp_path / "run"
    there = environment(PYTHONPATH=str(scratch))
    del there["MGI_METHOD_FACTORY"]

    def translate() -> list[str]:
        more = ("--workers", "0", "--method", "colour-transfer", "--metrics", "mean-colour")
        arguments = translate_command(folder, seen, *more)
        done = subprocess.run(
            arguments, capture_output=True, text=True, env=there, cwd=scratch, timeout=120, check=False
        )
        assert not done.returncode, done.stderr
        return sorted(path.name for path in (seen / "thumbnails").glob("*.png"))

    small = translate()
    assert small == sorted(results(seen))
    pairs = pandas.read_csv(seen / "tables" / "pairs.csv")
    assert len(small) == len(pairs) == 2
    assert (pairs["mean-colour"] < 1e-3).all()
    assert "mean-colour" in (seen / "report.html").read_text(encoding="utf-8")
    (seen / "thumbnails" / small[0]).unlink()
    assert translate() == small  # a unit whose file was moved away is done again
