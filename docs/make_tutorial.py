"""Runs the cells of docs/tutorial.ipynb and stores what they show: `python docs/make_tutorial.py`.

The cells are plain Python, so this needs no Jupyter: the last expression of a cell is its output, as in a notebook.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).with_name("tutorial.ipynb")


def run_cell(source: str, names: dict[str, Any], label: str = "cell") -> list[dict[str, Any]]:
    """A cell's outputs as notebooks store them; `names` are the variables before and after."""
    body, last = ast.parse(source).body, None
    if body and isinstance(body[-1], ast.Expr):
        last = ast.Expression(body.pop().value)  # type: ignore[attr-defined]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(ast.Module(body, []), label, "exec"), names)
        shown = eval(compile(last, label, "eval"), names) if last else None
    printed = {"output_type": "stream", "name": "stdout", "text": said.getvalue().splitlines(keepends=True)}
    result = {"output_type": "execute_result", "execution_count": None, "metadata": {}, "data": _data(shown)}
    return ([printed] if printed["text"] else []) + ([result] if shown is not None else [])


def _data(shown: Any) -> dict[str, Any]:
    data: dict[str, Any] = {"text/plain": [repr(shown)]}
    if hasattr(shown, "_repr_jpeg_"):  # PIL's pictures
        file = io.BytesIO()
        shown.save(file, "JPEG", quality=88)
        data = {"image/jpeg": base64.b64encode(file.getvalue()).decode(), "text/plain": ["<picture>"]}
    return data


def main() -> None:
    """Run the notebook from top to bottom and write it back."""
    notebook, names = json.loads(NOTEBOOK.read_text(encoding="utf-8")), {"__name__": "__main__"}
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            cell["outputs"] = run_cell("".join(cell["source"]), names, f"cell {number}")
    NOTEBOOK.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
