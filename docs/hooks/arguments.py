"""A griffe extension: `a, b: text` under Args stands for both arguments, and each gets its type in the reference."""

from __future__ import annotations

import re
from typing import Any

import griffe

_SHARED = re.compile(r"^(?P<indent> +)(?P<names>\w+(?:, \w+)+)(?P<text>:.*(?:\n(?P=indent) +.*)*)", re.MULTILINE)


class SharedArguments(griffe.Extension):
    """Splits shared lines before docstrings are parsed."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Of every module, class and function."""
        if obj.docstring is None or "Args:" not in obj.docstring.value:
            return
        before, args, after = obj.docstring.value.partition("Args:\n")
        section, blank, rest = after.partition("\n\n")
        obj.docstring.value = before + args + _SHARED.sub(_one_each, section) + blank + rest


def _one_each(found: re.Match[str]) -> str:
    return "\n".join(f"{found['indent']}{name}{found['text']}" for name in found["names"].split(", "))
