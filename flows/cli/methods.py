"""`mgi methods` and `mgi metrics`: what can make images, and what can judge them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import typer

from flows.cli.common import JsonOption, guarded, out


@guarded
def methods(as_json: JsonOption = False) -> int:
    """List the methods that --method takes, and whether their networks are here (under the profile `embedded`).

    `bring`: it needs files of yours, named by --set options.NAME=FILE.
    """
    from mgi.catalogue import method_rows

    def line(row: dict[str, Any]) -> str:
        paper = f" ({row['paper']})" if row.get("paper") else ""
        return f"{row['name']:<21}{row['state']:<9}{row['summary']}{paper}"

    return _show(method_rows(), line, as_json)


@guarded
def metrics(as_json: JsonOption = False) -> int:
    """List the metrics that --metrics takes, with their direction; `*`: runs measure it without being asked."""
    from mgi.catalogue import metric_rows

    def line(row: dict[str, Any]) -> str:
        name = f"{row['name']}{'*' if row.get('standard') else ''}"
        unit = f" in {row['unit']}" if row.get("unit") else ""
        of = "" if row.get("per", "pair") == "pair" else "of a whole set: "
        return f"{name:<18}{row.get('better', ' ')} {row['state']:<9}{of}{row['summary']}{unit}"

    return _show(metric_rows(), line, as_json)


def _show(rows: list[dict[str, Any]], line: Callable[[dict[str, Any]], str], as_json: bool) -> int:
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
    else:
        for row in rows:
            out.print(line(row) + _ending(row), markup=False)
    return 0


def _ending(row: dict[str, Any]) -> str:
    """Networks, and the package if it is another one."""
    networks = f" · networks: {row['networks']}" if row["networks"] else ""
    return networks + ("" if row["package"] == "mgi" else f" · package {row['package']}")
