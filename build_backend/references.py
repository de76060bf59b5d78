"""References to modules that move, in Python source: what is one, and the source with all of them changed.

A reference is, and nothing else is:
- the module of an absolute import: `from tasks.unit import Job`, `import tasks.unit as unit`, `import suites`;
- a string that is, as a whole, the dotted name of a module that exists, or of something in one: `"tasks.report"`,
  `"flows.cli:main"`, `"tasks.workers.cluster.CONNECT_WAIT"`. Words such as "storage" alone are none,
- unless such a word is the first argument of a function that takes names of modules: `resources.files("suites")`;
- an import in an example of a docstring: `>>> from storage.cells import harmless`.

Positions come from the syntax tree, so everything else keeps its bytes. The changed source is parsed again and must
have the tree that was meant; what cannot be changed safely stops the build and names the line.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection
from dataclasses import dataclass, field

PACKAGES = ("flows", "tasks", "storage", "suites")
"""What moves."""
NAMESPACE = "mgi_pipeline"
"""Where to."""
TAKE_NAMES = ("files", "import_module", "find_spec", "getLogger")
"""Functions whose first argument is the name of a module."""

_OURS = "|".join(PACKAGES)
_DOTTED = re.compile(rf"((?:{_OURS})(?:\.[A-Za-z_]\w*)*)(:[A-Za-z_]\w*)?")
_EXAMPLE = re.compile(rf"((?:>>>|\.\.\.) (?:from|import) )(?=(?:{_OURS})\b)".encode())
_BARE_EXAMPLE = re.compile(rf"(?:>>>|\.\.\.) import (?:{_OURS})\b(?!.* as )".encode())


class Unmovable(ValueError):
    """A reference that cannot be changed safely; one line that names file, line and remedy."""


def moved(source: bytes, modules: Collection[str], where: str) -> bytes:
    """`source` with every reference changed to what it is called under `NAMESPACE`.

    Args:
        source: of a module, UTF-8.
        modules: dotted names of everything that moves, such as `tasks.unit`.
        where: what messages call the source.

    Raises:
        Unmovable: see above.
    """
    finder = _Finder(source, modules, where)
    finder.visit(ast.parse(source))
    result = source
    for start, end, text in sorted(finder.edits, reverse=True):
        result = result[:start] + text + result[end:]
    meant = _Mover(modules).visit(ast.parse(source))
    if ast.dump(meant) != ast.dump(ast.parse(result)):
        raise Unmovable(f"{where}: the changed source means something else; write its imports in a plainer way")
    return result


def is_reference(text: str, modules: Collection[str]) -> bool:
    """Whether a whole string names a module that moves, or something in one."""
    found = _DOTTED.fullmatch(text)
    if found is None:
        return False
    if found[2]:
        return found[1] in modules
    parts = found[1].split(".")
    return any(".".join(parts[:count]) in modules for count in (len(parts), len(parts) - 1) if count > 1)


def _takes_names(node: ast.Call) -> bool:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in TAKE_NAMES


def _bare(node: ast.Call) -> ast.Constant | None:
    """The first argument, if it is the name of a package that moves."""
    first = node.args[0] if node.args and _takes_names(node) else None
    return first if isinstance(first, ast.Constant) and first.value in PACKAGES else None


@dataclass
class _Finder(ast.NodeVisitor):
    """Collects (start, end, text) of every change, in bytes of the source."""

    source: bytes
    modules: Collection[str]
    where: str
    edits: list[tuple[int, int, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._starts = [0]
        for line in self.source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if not node.level and _root(node.module) in PACKAGES:
            start, end = self._span(node)
            keyword = re.match(rb"from(?:\s|\\)+", self.source[start:end])
            if keyword is None:
                raise self._unmovable(node, "expected `from MODULE import NAME`")
            self._insert(start + keyword.end())

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if _root(alias.name) not in PACKAGES:
                continue
            if alias.asname:
                self._insert(self._span(alias)[0])
            elif "." not in alias.name and len(node.names) == 1:
                self.edits.append((*self._span(node), f"from {NAMESPACE} import {alias.name}".encode()))
            else:
                raise self._unmovable(node, f"`import {alias.name}` binds its first word; use `from ... import`")

    def visit_Call(self, node: ast.Call) -> None:
        bare = _bare(node)
        if bare is not None:
            self._insert_in_string(bare)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if not isinstance(node.value, str):
            return
        if is_reference(node.value, self.modules):
            self._insert_in_string(node)
        elif ">>> " in node.value:
            start, end = self._span(node)
            if _BARE_EXAMPLE.search(self.source[start:end]):
                raise self._unmovable(node, "an example imports a package that moves; use `from ... import`")
            for found in _EXAMPLE.finditer(self.source[start:end]):
                self._insert(start + found.end())

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        first = node.values[0] if node.values else None
        text = first.value if isinstance(first, ast.Constant) else ""
        if re.fullmatch(rf"(?:{_OURS})\.[\w.]*", str(text)):
            raise self._unmovable(node, "an f-string makes the name of a module; write whole names")
        # Positions inside are not to be trusted before Python 3.12: a reference there is found, and refused.
        inside = _Finder(self.source, self.modules, self.where)
        for value in node.values:
            if isinstance(value, ast.FormattedValue):
                inside.generic_visit(value)
        if inside.edits:
            raise self._unmovable(node, "a reference inside an f-string; give it a name outside")

    def _insert_in_string(self, node: ast.Constant) -> None:
        start, end = self._span(node)
        name = str(node.value).encode()
        if re.fullmatch(rb"[rRuU]?(['\"]{1,3})" + re.escape(name) + rb"\1", self.source[start:end]) is None:
            raise self._unmovable(node, f"expected {node.value!r} as one plain string")
        self._insert(start + self.source[start:end].index(name))

    def _insert(self, at: int) -> None:
        edit = (at, at, f"{NAMESPACE}.".encode())
        if edit not in self.edits:
            self.edits.append(edit)

    def _span(self, node: ast.stmt | ast.expr | ast.alias) -> tuple[int, int]:
        end_line, end_column = node.end_lineno, node.end_col_offset
        assert end_line is not None and end_column is not None
        return self._starts[node.lineno - 1] + node.col_offset, self._starts[end_line - 1] + end_column

    def _unmovable(self, node: ast.stmt | ast.expr, why: str) -> Unmovable:
        return Unmovable(f"{self.where}:{node.lineno}: {why}")


class _Mover(ast.NodeTransformer):
    """The same changes on the tree: what the changed source must mean."""

    def __init__(self, modules: Collection[str]) -> None:
        self._modules = modules

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom:
        if not node.level and _root(node.module) in PACKAGES:
            node.module = f"{NAMESPACE}.{node.module}"
        return node

    def visit_Import(self, node: ast.Import) -> ast.stmt:
        if len(node.names) == 1 and node.names[0].name in PACKAGES and not node.names[0].asname:
            return ast.ImportFrom(NAMESPACE, node.names, 0)
        for alias in node.names:
            if _root(alias.name) in PACKAGES:
                alias.name = f"{NAMESPACE}.{alias.name}"
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        bare = _bare(node)
        if bare is not None:
            bare.value = f"{NAMESPACE}.{bare.value!s}"
        return self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.JoinedStr:
        return node  # the finder refuses references inside

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if isinstance(node.value, str):
            if is_reference(node.value, self._modules):
                node.value = f"{NAMESPACE}.{node.value}"
            elif ">>> " in node.value:
                node.value = _EXAMPLE.sub(rf"\g<1>{NAMESPACE}.".encode(), node.value.encode()).decode()
        return node


def _root(module: str | None) -> str:
    return (module or "").partition(".")[0]
