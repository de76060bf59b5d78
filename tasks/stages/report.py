"""After the last stage: the report, built where the method is loaded already, since it shows hypotheses that lost."""

from __future__ import annotations

from tasks.unit import Job


def report_run(job: Job, pictures: bool = True) -> str:
    """Build tables, report page and contact sheet; returns the page's path.

    Args:
        job: the run.
        pictures: also render the hypotheses that were not chosen, which needs the run's networks.
    """
    from tasks.report.page import build_report  # imports matplotlib

    run = job.open()
    method = run.method() if pictures and run.config.searches else None  # others have no hypotheses to render
    return str(build_report(run.store, method))
