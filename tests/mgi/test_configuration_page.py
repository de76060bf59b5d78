"""docs/configuration.md is what docs/make_configuration.py makes of mgi/config/, and leaves no key out."""

import subprocess
import sys
from pathlib import Path

from pydantic import BaseModel

from mgi.config import RunConfig

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_page_is_up_to_date() -> None:
    command = [sys.executable, str(DOCS / "make_configuration.py"), "--check"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr


def test_every_key_is_on_the_page() -> None:
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    for key in keys(RunConfig):
        assert f"| `{key}` |" in page


def keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    found = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found += keys(field.annotation, f"{prefix}{name}.")
        else:
            found.append(prefix + name)
    return found
