"""The page's template, and how it writes numbers and times."""

from __future__ import annotations

from importlib import resources
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from tasks.report.lettering import format_distance

SHARED = "tasks.report"


def page_template(package: str = SHARED, name: str = "report.html.j2") -> Template:
    """The template of a page in the folder `templates` of a package; the report's unless another is named."""
    folders = dict.fromkeys((package, SHARED))  # every page may include the report's style and scripts
    environment = Environment(
        loader=FileSystemLoader([str(resources.files(folder) / "templates") for folder in folders]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    environment.filters |= {"distance": _distance, "duration": duration, "url": quote}
    return environment.get_template(name)


def _distance(value: Any) -> str:
    return "–" if value is None or value != value else format_distance(float(value))


def duration(seconds: float | None) -> str:
    """42 s, 3 min 20 s, 2 h 05 min, 14 days 3 h."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} days {hours % 24} h"
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
