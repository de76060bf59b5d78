"""`mgi suites`: the evaluations that ship with the package."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli import completion
from flows.cli.common import Answer, guarded, out, say


@guarded
def suites(
    name: Annotated[
        str | None,
        typer.Argument(autocompletion=completion.suites, help="Show the methods, metrics and numbers of this one."),
    ] = None,
) -> Answer:
    """List the suites that `mgi evaluate` takes, or show one."""
    from tasks.suites.suite import load_suite, shipped

    if name is None:
        rows = []
        for known in shipped():
            suite = load_suite(known)
            rows.append({"name": known, "task": suite.task, "rows": len(suite.methods), "summary": suite.summary})
            out.print(f"{known:<31}{suite.task:<11}{len(suite.methods):>2} rows  {suite.summary}", markup=False)
        say("`mgi suites NAME` shows the rows of one, `mgi evaluate NAME --out FOLDER` runs them")
        return Answer({"suites": rows})
    suite = load_suite(name)
    data = suite.data
    where = (data.generator and f"samples of {data.generator}") or data.sources or "--sources and --exemplars"
    lines = [
        f"{suite.name}, version {suite.version}: {suite.summary}",
        f"data       {' '.join(filter(None, (data.set, data.split)))} ({where}), {data.limit or 'all'} pairs",
        f"licence    {data.licence or 'not said'}",
        f"metrics    {', '.join(suite.metrics)}",
        f"sets       {', '.join(suite.sets) or 'none'}, against {suite.reference}",
    ]
    for row in suite.methods:
        said = row.of_method
        if row.hypotheses_of:
            said = f"hypotheses of {row.hypotheses_of}, each by itself"
        elif row.warps_of:
            said = f"warps of {row.warps_of}"
        settings = " ".join(f"{key}={value}" for key, value in row.set.items())
        lines.append(f"{row.name:<22} {said} {row.profile or suite.profile} {settings}".rstrip())
    lines += [f"published  {n.method} {n.metric} {n.value:g} ({n.source})" for n in suite.published]
    out.print("\n".join(lines), markup=False)
    return Answer(suite.model_dump(mode="json"))
