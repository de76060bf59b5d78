"""Links that work in a checkout and on the site.

Pages link as Git hosts want it: relative to the file, to any file of the repository. On the site, a file outside docs/
that a page links to is a page below repository/: Markdown as it is, other text as a listing. Names such as
`mgi.module:name` lead to their entries of the API reference.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath

REPOSITORY = "repository/"
ALWAYS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
"""Shown even if no page links to them."""

_LINK = re.compile(r"(?<!`)\]\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")
_FUNCTION = re.compile(r"\[`(mgi[\w.]*):([\w.]+)`\]\([^)\s]+\)")
_NAME = re.compile(r"(?<![\[`])`(mgi[\w.]*):([\w.]+)`(?!`)")
_FENCES = re.compile(r"(^ *```.*?^ *```)", re.DOTALL | re.MULTILINE)
_PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".svg", ".csv", ".npz"}
_LANGUAGES = {".py": "python", ".toml": "toml", ".yaml": "yaml", ".yml": "yaml", ".sh": "bash", ".json": "json"}


class Site:
    """Where things of a checkout are on the site.

    Args:
        root: the repository.
        docs: its folder of pages.
    """

    def __init__(self, root: Path, docs: Path) -> None:
        self.root, self.docs = root, docs
        self.shown: dict[str, str | Path] = {}
        """Pages to add: {path on the site: Markdown, or the file itself}."""
        self._collect()

    def pages(self) -> list[Path]:
        """The files of docs/ that are pages."""
        found = [*self.docs.rglob("*.md"), *self.docs.rglob("*.ipynb")]
        return sorted(path for path in found if ".ipynb_checkpoints" not in path.parts)

    def rewritten(self, markdown: str, uri: str) -> str:
        """A page's Markdown with the site's links; `uri` is its path on the site."""
        here = self._repository_path(uri)
        parts = _FENCES.split(markdown)
        parts[::2] = [self._relinked(part, here, uri) for part in parts[::2]]
        return "".join(parts)

    def _relinked(self, text: str, here: PurePosixPath, uri: str) -> str:
        text = _FUNCTION.sub(lambda found: f"[`{found[2]}`][{found[1]}.{found[2]}]", text)
        text = _NAME.sub(self._reference, text)

        def link(found: re.Match[str]) -> str:
            target = _resolved(here, found[1])
            if target is None or not (self.root / target).exists():
                return found[0]  # MkDocs says what is wrong with it
            there = os.path.relpath(self._site_path(target), PurePosixPath(uri).parent)
            return f"]({PurePosixPath(there)}{found[2] or ''})"

        return _LINK.sub(link, text)

    def _reference(self, found: re.Match[str]) -> str:
        """A name such as `mgi.losses.gram:gram` as a link to the API reference, if that lists it."""
        parts = f"{found[1]}.{found[2]}".split(".")
        listed = any(".".join(parts[:length]) in self._listed for length in range(2, len(parts) + 1))
        return f"[{found[0]}][{'.'.join(parts)}]" if listed else found[0]

    @cached_property
    def _listed(self) -> set[str]:
        """What the pages of the API reference list."""
        pages = "".join(path.read_text(encoding="utf-8") for path in self.pages() if path.suffix == ".md")
        return set(re.findall(r"^::: (\S+)", pages, flags=re.MULTILINE))

    def _collect(self) -> None:
        waiting = [PurePosixPath(path.relative_to(self.root).as_posix()) for path in self.pages()]
        waiting += [PurePosixPath(name) for name in ALWAYS]
        for path in waiting:  # grows
            if not self._is_page_of_docs(path) and self._site_path(path) not in self.shown:
                self.shown[self._site_path(path)] = self._page(path)
            if path.suffix in {".md", ".ipynb"}:
                text = (self.root / path).read_text(encoding="utf-8")
                waiting += [target for target in self._targets(text, path) if target not in waiting]
            elif (self.root / path).is_dir():
                waiting += [path / name for name in _files(self.root / path)]

    def _targets(self, text: str, here: PurePosixPath) -> Iterator[PurePosixPath]:
        outside = "".join(_FENCES.split(text)[::2])
        for link, _ in _LINK.findall(_FUNCTION.sub("", outside)):
            target = _resolved(here, link)
            if target is not None and (self.root / target).exists() and not self._is_page_of_docs(target):
                yield target

    def _page(self, path: PurePosixPath) -> str | Path:
        file = self.root / path
        if file.is_dir():
            listed = "\n".join(f"- [{name}]({path.name}/{name})" for name in _files(file))
            return f"# {path}/\n\n{listed}\n"  # relative to the folder's own place in the repository
        if path.suffix in _PICTURES or path.suffix == ".md":
            return file.read_text(encoding="utf-8") if path.suffix == ".md" else file
        return f"# {path}\n\n```{_LANGUAGES.get(path.suffix, 'text')}\n{file.read_text(encoding='utf-8')}\n```\n"

    def _is_page_of_docs(self, path: PurePosixPath) -> bool:
        inside = path.is_relative_to(self._docs_name)
        return inside and path.suffix not in {"", ".py"}  # folders and scripts are listed like those of the repository

    def _site_path(self, path: PurePosixPath) -> str:
        if self._is_page_of_docs(path):
            return as_page(path.relative_to(self._docs_name).as_posix())
        if path.suffix in _PICTURES or path.suffix == ".md":
            return REPOSITORY + path.as_posix()
        return f"{REPOSITORY}{path.as_posix()}.md"

    def _repository_path(self, uri: str) -> PurePosixPath:
        if uri in self.shown:
            path = PurePosixPath(uri.removeprefix(REPOSITORY))
            return path if (self.root / path).exists() else path.with_suffix("")
        return self._docs_name / uri

    @property
    def _docs_name(self) -> PurePosixPath:
        return PurePosixPath(self.docs.relative_to(self.root).as_posix())


def as_page(name: str) -> str:
    """The name on the site of a page of docs/: notebooks are Markdown there."""
    return f"{name.removesuffix('.ipynb')}.md" if name.endswith(".ipynb") else name


def _resolved(here: PurePosixPath, link: str) -> PurePosixPath | None:
    """The path in the repository that a link of a file means; None: outside it."""
    path = PurePosixPath(os.path.normpath(here.parent / link))
    return None if path.parts[:1] in {("..",), ("/",)} else path


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith((".", "__")))
