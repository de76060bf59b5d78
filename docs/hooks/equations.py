"""LaTeX as MathML, which every browser draws by itself."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

_INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
_BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)


def mathml(latex: str, display: str = "inline") -> str:
    """<math> of an expression."""
    return convert(latex.strip(), display=display)


def fence(source: str, language: str, css_class: str, options: dict[str, Any], md: Any, **_: Any) -> str:
    """A block ```math, as `pymdownx.superfences` asks for it."""
    return f'<div class="{css_class}">{mathml(source, "block")}</div>'


def inline(page: str) -> str:
    """A page's HTML with what `pymdownx.arithmatex` marked ($...$ within lines) as MathML."""
    page = _INLINE.sub(lambda found: mathml(html.unescape(found[1])), page)
    return _BLOCK.sub(lambda found: f'<div class="equation">{mathml(html.unescape(found[1]), "block")}</div>', page)
