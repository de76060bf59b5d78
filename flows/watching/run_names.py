"""What flow runs are called: what is done, to what, and into which RUN."""

from __future__ import annotations

from collections.abc import Callable

from prefect.runtime import flow_run


def named(words: str, *, by: tuple[str, ...] = ()) -> Callable[[], str]:
    """A name from the flow run's parameters.

    Args:
        words: with parameters in braces; of paths only the last part is taken.
        by: further parameters, of which those that are given stand at the end in brackets.
    """

    def name() -> str:
        given = flow_run.parameters or {}
        said = words.format_map(_Short(given))
        more = ", ".join(_short(given[key]) for key in by if given.get(key))
        return f"{said} ({more})" if more else said

    return name


class _Short(dict[str, object]):
    """Parameters as a name has them; one that is missing is a question mark."""

    def __getitem__(self, key: str) -> str:
        return _short(self.get(key) or "?")

    def __missing__(self, key: str) -> str:
        return "?"


def _short(value: object) -> str:
    """The last part of a path.

    Example:
        >>> _short("/data/runs/first/"), _short({"name": "own"})
        ('first', 'own')
    """
    if isinstance(value, dict):
        return str(value.get("name", "?"))
    return str(value).rstrip("/").rpartition("/")[2] or str(value)
