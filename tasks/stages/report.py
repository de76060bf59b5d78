"""After the last stage: the report, built where the method is already loaded, because it shows hypotheses that lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tasks.unit import REPORT, Job

PAGES = "pages"
"""Marker of the files that a report wrote, beside the report's own; `mgi verify` checks them."""


def report_run(job: Job, pictures: bool = True) -> str:
    """Build tables, report page and contact sheet; returns the page's path.

    Args:
        job: the run.
        pictures: also render the hypotheses that were not chosen, which needs the run's networks.
    """
    from tasks.report.page import build_report  # imports matplotlib

    run = job.open()
    method = run.method() if pictures and run.config.searches else None  # other methods have no hypotheses to render
    page = build_report(run.store, method)
    run.store.publish(REPORT, PAGES, pair_index=0, payload={}, files=sorted(_files(run.store.path)))
    return str(page)


def _files(folder: Path) -> Iterator[str]:
    """What a run shows to people: the report's files, and the preview that units wrote."""
    for pattern in ("preview.png", "report.html", "contact_sheet.png", "tables/*", "report/**/*"):
        for path in folder.glob(pattern):
            if path.is_file() and path.suffix != ".part":
                yield path.relative_to(folder).as_posix()
