"""`mgi report`: build a run's report again, whether it is complete or not."""

from __future__ import annotations

from flows.cli.common import Answer, RunArgument, guarded, out, say, tell_behind


@guarded
def report(run: RunArgument) -> Answer:
    """Build the tables, contact sheet and report of a run from what is done so far."""
    from flows.remote import known_as, working_folder
    from mgi.weights import WeightsError
    from storage.run_store import RunStore
    from tasks.stages.report import report_run
    from tasks.unit import Job

    with working_folder(run, say) as place:
        job = Job.of(RunStore.open(place.folder))
        try:
            path = report_run(job)
        except WeightsError as error:  # a run copied to a machine without the networks still has its tables and results
            say(f"note: pictures of hypotheses are left out: {error}")
            path = report_run(job, pictures=False)
    page = known_as(str(path))
    out.print(page, markup=False)
    return Answer({"run": run, "report": page}, tell_behind(place))
