"""`mgi methods` and `mgi metrics`: what can make images, and what can judge them."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from flows.cli.common import guarded, out

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object, for scripts.")]


@guarded
def methods(as_json: JsonOption = False) -> int:
    """List the methods that --method takes, and whether their networks are here (under the profile `embedded`)."""
    from mgi.catalogue import method_rows

    rows = method_rows()
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return 0
    for row in rows:
        paper = f" ({row['paper']})" if row.get("paper") else ""
        out.print(f"{row['name']:<21}{row['state']:<9}{row['summary']}{paper}{_ending(row)}", markup=False)
    return 0


@guarded
def metrics(as_json: JsonOption = False) -> int:
    """List the metrics that --metrics takes, with their direction; `*`: runs measure it without being asked."""
    from mgi.catalogue import metric_rows

    rows = metric_rows()
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return 0
    for row in rows:
        name = f"{row['name']}{'*' if row.get('standard') else ''}"
        unit = f" in {row['unit']}" if row.get("unit") else ""
        of = "" if row.get("per", "pair") == "pair" else "of a whole set: "
        line = f"{name:<18}{row.get('better', ' ')} {row['state']:<9}{of}{row['summary']}{unit}{_ending(row)}"
        out.print(line, markup=False)
    return 0


def _ending(row: dict[str, Any]) -> str:
    """Networks, and the package if it is another one."""
    networks = f" · networks: {row['networks']}" if row["networks"] else ""
    return networks + ("" if row["package"] == "mgi" else f" · package {row['package']}")
