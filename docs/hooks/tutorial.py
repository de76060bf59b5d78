"""A notebook as a page: text as it is, code as listings, stored outputs below them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_PICTURES = ("image/png", "image/jpeg")


def as_markdown(notebook: Path) -> str:
    """The page, with a link to the notebook's own file left to the reader's checkout."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join(part for cell in cells for part in _parts(cell)) + "\n"


def _parts(cell: dict[str, Any]) -> list[str]:
    source = "".join(cell["source"]).strip()
    if cell["cell_type"] == "markdown":
        return [source]
    return [f"```python\n{source}\n```", *(_output(output) for output in cell.get("outputs", []))]


def _output(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    for kind in _PICTURES:
        if kind in data:
            return f'<img class="output" alt="output of this cell" src="data:{kind};base64,{_joined(data[kind])}">'
    text = _joined(output["text"] if output["output_type"] == "stream" else data["text/plain"]).strip()
    return f'<div class="output" markdown="1">\n```text\n{text}\n```\n</div>'


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)
