"""What MkDocs does not do by itself, so that docs/*.md stay pages that a plain Git host shows, too.

- The navigation of mkdocs.yml may name pages that are not there yet; pages that it does not name go to "More".
- Links to files outside docs/ lead to pages of the site that show those files (links.py).
- Equations become MathML while the site is built, so browsers need no script and no other server (equations.py).
- docs/tutorial.ipynb becomes a page (tutorial.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from equations import fence, inline
from links import Site, as_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from pymdownx.slugs import slugify
from tutorial import as_markdown

MORE = "More"

_site: Site


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The navigation, and how equations are set."""
    global _site
    root = Path(config.config_file_path).parent
    _site = Site(root, Path(config.docs_dir))
    config.nav = navigation(config.nav or [], _site)
    config.mdx_configs.setdefault("pymdownx.superfences", {})["custom_fences"] = [
        {"name": "math", "class": "equation", "format": fence}
    ]
    config.mdx_configs.setdefault("toc", {})["slugify"] = slugify(case="lower")  # anchors as Git hosts make them
    return config


def navigation(nav: list[Any], site: Site) -> list[Any]:
    """`nav` without pages that are not there, and with all others of docs/ at its end."""
    there = {path.relative_to(site.docs).as_posix() for path in site.pages()}
    named: set[str] = set()

    def kept(entries: list[Any]) -> list[Any]:
        found: list[Any] = []
        for entry in entries:
            if isinstance(entry, dict):
                ((title, inner),) = entry.items()
                pages = kept(inner if isinstance(inner, list) else [inner])
                if pages:
                    found.append({title: pages if isinstance(inner, list) else pages[0]})
            elif entry in there or entry in site.shown:
                named.add(entry)
                found.append(as_page(entry))
        return found

    shown = kept(nav)
    others = [as_page(name) for name in sorted(there - named)]
    return [*shown, {MORE: others}] if others else shown


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that show files of the repository, and the tutorial."""
    for source, content in _site.shown.items():
        if isinstance(content, Path):
            files.append(File.generated(config, source, abs_src_path=str(content)))
        else:
            files.append(File.generated(config, source, content=content))
    for file in list(files):
        if file.src_uri.endswith(".ipynb"):
            page = as_markdown(Path(config.docs_dir) / file.src_uri)
            files.append(File.generated(config, as_page(file.src_uri), content=page))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links of a page, from those of a checkout to those of the site."""
    return _site.rewritten(markdown, page.file.src_uri)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Equations within lines."""
    return inline(html)
