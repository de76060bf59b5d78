"""docs/equations.md: every equation of the papers is set, every link leads to a function whose docstring names it."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import Any

import pytest
from places import ROOT

PAGE = ROOT / "docs" / "equations.md"
TEXT = PAGE.read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (.+?)\n(.*?)(?=^##|\Z)", TEXT, flags=re.DOTALL | re.MULTILINE))
LINK = re.compile(r"\[`(mgi[\w.]*):([\w.]+)`\]\(([^)]+)\)")
LINKS = [(heading, *link) for heading, body in SECTIONS.items() for link in LINK.findall(body)]
LABEL = r"(equations?|sections?|tables?)? ?(\d+(?:\.\d+)?)(?:-(\d+))?"


def labels(text: str, kind: str = "equation") -> set[tuple[str, str]]:
    """What a text names: ("equation", "3"), ("section", "3.2"); without a word before it, a number is of `kind`."""
    found: set[tuple[str, str]] = set()
    for name, first, last in re.findall(LABEL, text):
        of = name.removesuffix("s") or kind
        numbers = range(int(first), int(last) + 1) if last else [first]
        found |= {(of, str(number)) for number in numbers}
    return found


def target(module: str, path: str) -> Any:
    found: Any = import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize(("heading", "module", "path", "file"), LINKS)
def test_every_link_leads_to_a_function_that_names_the_equation(
    heading: str, module: str, path: str, file: str
) -> None:
    found = target(module, path)
    assert callable(found)
    assert found.__module__ == module, f"{path} is only imported there"
    assert (PAGE.parent / file).resolve() == ROOT / str(inspect.getsourcefile(inspect.unwrap(found)))
    wanted = labels(heading.split("(")[-1])
    named = {label for label in labels(str(inspect.getdoc(found)).lower(), "nothing") if label[0] != "nothing"}
    assert wanted & named, f"{module}:{path} names {named or 'no equation'} and stands under {wanted}"


@pytest.mark.parametrize(("paper", "last"), [("MGI", 7), ("OEFT", 12), ("UDA", 7)])
def test_no_equation_is_left_out(paper: str, last: int) -> None:
    numbers: set[tuple[str, str]] = set()
    for heading in SECTIONS:
        for part in heading.split("(")[-1].strip(")").split(", "):
            numbers |= labels(part.removeprefix(paper)) if part.startswith(paper) else set()
    assert {number for kind, number in numbers if kind == "equation"} == {str(n) for n in range(1, last + 1)}


def test_every_section_has_an_equation_and_a_function() -> None:
    linked = {heading for heading, *_ in LINKS}
    for heading, body in SECTIONS.items():
        assert "```math\n" in body and heading in linked, heading


def test_every_link_is_in_the_reference() -> None:
    """On the site a link leads to an entry of docs/api, which must list the function, its class or its module."""
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "api").glob("*.md"))
    listed = set(re.findall(r"^::: (\S+)", pages, flags=re.MULTILINE))
    for _, module, path, _ in LINKS:
        parts = path.split(".")
        names = {module, *(".".join([module, *parts[:n]]) for n in range(1, len(parts) + 1))}
        assert names & listed, f"{module}.{path}"
