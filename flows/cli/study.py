"""`mgi study`: people judge what methods made, without knowing which made it."""

from __future__ import annotations

import csv
import socket
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.common import Answer, guarded, made, out, say
from flows.cli.environment import Verb
from mgi.config import ConfigError

study = typer.Typer(
    help="A user study of an evaluation: build it, serve it, count the votes.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="Folder of the study.")]


@study.command(cls=Verb)
@guarded
def build(
    evaluation: Annotated[str, typer.Argument(metavar="EVALUATION", help="Folder of `mgi evaluate`.")],
    folder: Annotated[str, typer.Option("--out", metavar="STUDY", help="Folder of the study; it may not hold one.")],
    sets: Annotated[int, typer.Option(min=1, help="Pairs that are shown.")] = 15,
    methods: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Only these, separated by commas.  [default: all]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides which pairs.")] = 0,
) -> Answer:
    """Draw random sets and prepare the page; pictures lose their names."""
    from flows.evaluation import runs_of
    from tasks.study.build import build_study

    runs = runs_of(evaluation)
    wanted = [name.strip() for name in methods.split(",")] if methods else list(runs)
    for name in wanted:
        if name not in runs:
            raise ConfigError(
                f"--methods: {name} is no finished row of {evaluation}; expected some of {', '.join(runs)}"
            )
    built = build_study({name: runs[name] for name in wanted}, folder, sets, seed)
    made(
        folder,
        f"{built.sets} sets of {len(built.methods)} methods, {built.checks} checks; "
        f"`mgi study serve {folder}` shows them to people",
    )
    return Answer({"study": folder, "sets": built.sets, "methods": list(built.methods), "checks": built.checks})


@study.command(cls=Verb)
@guarded
def serve(
    folder: StudyArgument,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for phones in the same network.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
) -> int:
    """Serve the page until Ctrl-C; votes are kept as they come."""
    import uvicorn

    from flows.study_server import study_app

    app = study_app(folder)
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}, port {port} ({error.strerror}); choose another --port") from None
    say(f"http://{host}:{port}  (Ctrl-C ends; `mgi study tally {folder}` counts)")
    uvicorn.run(app, host=host, port=port, log_level="warning")
    return 0


@study.command(cls=Verb)
@guarded
def tally(
    folder: StudyArgument,
    export: Annotated[
        str | None, typer.Option(metavar="FILE.csv", help="Also write every vote with its method.")
    ] = None,
) -> Answer:
    """Count the votes: each method's share under each question, with Wilson's 95 % interval."""
    from storage.cells import harmless
    from tasks.study.tally import named_votes
    from tasks.study.tally import tally as count

    found = count(folder)
    if export is not None:
        with Path(export).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["participant", "set", "question", "method"])
            for vote, name in named_votes(folder):
                writer.writerow(map(harmless, (vote.participant, vote.set_id, vote.question, name)))
    for share in found.shares:
        if not share.total:
            continue  # a share of no votes is no number
        part = share.votes / share.total
        ends = f"{100 * share.low:.1f} to {100 * share.high:.1f} %, {share.votes} of {share.total}"
        out.print(f"{share.question:<10}{share.method:<24}{100 * part:>5.1f} %  ({ends})", markup=False)
    out.print(f"{found.participants} participants, {found.excluded} left out for failing a check", markup=False)
    if not any(share.total for share in found.shares):
        say(f"no votes yet; `mgi study serve {folder}` shows the page to people")
    return Answer({"participants": found.participants, "excluded": found.excluded, "shares": found.shares})
