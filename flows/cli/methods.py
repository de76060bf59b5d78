"""`mgi methods` and `mgi metrics`: what can make images, and what can judge them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flows.cli.common import Answer, guarded, out, say


@guarded
def methods() -> Answer:
    """List the methods that --method takes, and whether their networks are here (under the profile `embedded`).

    `bring`: it needs files of yours, named by --set options.NAME=FILE.
    """
    from mgi.catalogue import method_rows

    def line(row: dict[str, Any]) -> str:
        paper = f" ({row['paper']})" if row.get("paper") else ""
        return f"{row['name']:<21}{row['state']:<9}{row['summary']}{paper}"

    return _show("methods", method_rows(), line)


@guarded
def metrics() -> Answer:
    """List the metrics that --metrics takes, with their direction; `*`: runs measure it without being asked."""
    from mgi.catalogue import metric_rows

    def line(row: dict[str, Any]) -> str:
        name = f"{row['name']}{'*' if row.get('standard') else ''}"
        unit = f" in {row['unit']}" if row.get("unit") else ""
        of = "" if row.get("per", "pair") == "pair" else "of a whole set: "
        return f"{name:<18}{row.get('better', ' ')} {row['state']:<9}{of}{row['summary']}{unit}"

    return _show("metrics", metric_rows(), line)


def _show(name: str, rows: list[dict[str, Any]], line: Callable[[dict[str, Any]], str]) -> Answer:
    for row in rows:
        out.print(line(row) + _ending(row), markup=False)
    if any(row["state"] == "missing" for row in rows):
        say("`mgi weights fetch NETWORK` gets what is missing")
    return Answer({name: rows})


def _ending(row: dict[str, Any]) -> str:
    """Networks, and the package if it is another one."""
    networks = f" · networks: {row['networks']}" if row["networks"] else ""
    return networks + ("" if row["package"] == "mgi" else f" · package {row['package']}")
