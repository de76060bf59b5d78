"""The commands that the documentation prints, and what the real command line makes of their words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import typer
from places import ROOT

from flows.cli import app

FENCE = re.compile(r"^( *)```(?:bash|sh|console)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`(mgi [^`\n]+)`")
KEYWORDS = {"do", "done", "then", "else", "fi", "if", "!"}
ASSIGNMENT = re.compile(r"[A-Z_][A-Z0-9_]*=.*", re.DOTALL)


@dataclass(frozen=True)
class Printed:
    """A simple command of a page, the number of its line, and that of its block's first."""

    page: str
    line: int
    words: tuple[str, ...]
    block: int = 0

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {shlex.join(self.words)}"


def pages() -> list[str]:
    """Every page that the site has."""
    of_docs = [path for suffix in ("md", "ipynb") for path in (ROOT / "docs").rglob(f"*.{suffix}")]
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "examples" / "README.md", *sorted(of_docs)]
    return [path.relative_to(ROOT).as_posix() for path in found]


def commands(page: str) -> list[Printed]:
    """What the blocks of a page print; lines that go on below are one."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [printed for block in FENCE.finditer(text) for printed in _of_block(page, text, block)]


def _of_block(page: str, text: str, block: re.Match[str]) -> Iterator[Printed]:
    first = line = text[: block.start(2)].count("\n") + 1
    for command in re.findall(r"(?:.*\\\n)*.*\n", block[2]):
        for words in simple(command.replace("\\\n", " ")):
            yield Printed(page, line, tuple(words), first)
        line += command.count("\n")


def simple(command: str) -> list[list[str]]:
    """The words of each simple command of a line: without variables before it, redirections, and the words of loops."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    skipped = False
    for word in lexer:
        if skipped or set(word) <= set("<>"):
            skipped = not skipped
        elif set(word) <= set("|&;"):
            found.append([])
        elif found[-1] or not (word in KEYWORDS or ASSIGNMENT.fullmatch(word)):
            found[-1].append(word)
    return [words for words in found if words and words[0] != "for"]


def mentions(page: str) -> list[str]:
    """`mgi ...` within the prose of a page; `mgi weights list|fetch` is two."""
    prose = re.sub(r"^ *```.*?^ *```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    found = []
    for text in INLINE.findall(prose):
        head, bar, tail = text.replace("\\|", "|").partition("|")
        *before, first = head.split(" ") if bar else [text]
        found += [" ".join([*before, word]) for word in [first, *(tail.split(" ")[0].split("|") if bar else [])]]
    return found


@cache
def root() -> Any:
    """The command `mgi`."""
    return typer.main.get_command(app)


def verb(words: list[str]) -> tuple[str, typer.Context, Any, list[str]]:
    """The verb that `mgi` and these words name: its path, the context above it, its command and the other words.

    The path of `mgi --version` and its like is empty.

    Raises:
        LookupError: there is none.
    """
    command: Any = root()
    if words and words[0] in {name for option in command.params for name in option.opts}:
        return "", typer.Context(command, info_name="mgi"), command, words
    context, path = typer.Context(command, info_name="mgi"), []
    while hasattr(command, "commands"):
        if not words or words[0] not in command.commands:
            raise LookupError(f"mgi {' '.join([*path, *words[:1]])} does not exist")
        command, words = command.commands[words[0]], words[1:]
        path.append(str(command.name))
        if hasattr(command, "commands"):
            context = typer.Context(command, info_name=path[-1], parent=context)
    return " ".join(path), context, command, words


def parsed(words: list[str]) -> tuple[str, dict[str, Any]]:
    """The verb and what it receives: names and values of all options are checked as when they are typed.

    `...` stands for the arguments that are left out.
    """
    path, context, command, rest = verb(words)
    if not path:
        return path, {}
    if "..." in rest:
        missing = [p for p in command.params if p.param_type_name == "argument" and p.required]
        rest = [*(["x"] * len(missing)), *(word for word in rest if word != "...")]
    return path, dict(command.make_context(path.split()[-1], rest, parent=context).params)
