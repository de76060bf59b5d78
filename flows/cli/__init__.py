"""The `mgi` command: one verb per module, exit codes as `flows.errors.Exit` lists them."""

from __future__ import annotations

import platform
import signal
from typing import Annotated

import typer

from flows.cli.clean import clean
from flows.cli.compare import compare, compare_sets, leaderboard
from flows.cli.conditions import conditions
from flows.cli.directions import directions
from flows.cli.doctor import doctor
from flows.cli.edit import edit
from flows.cli.environment import HELP, Verb, Verbs
from flows.cli.evaluate import evaluate
from flows.cli.export import export
from flows.cli.init import init
from flows.cli.invert import invert
from flows.cli.methods import methods, metrics
from flows.cli.outputs import compare_boxes, compare_labels, diversity
from flows.cli.pack import pack
from flows.cli.paste import paste
from flows.cli.profiles import profiles
from flows.cli.report import report
from flows.cli.resume import resume
from flows.cli.sample import sample
from flows.cli.select import select
from flows.cli.status import status
from flows.cli.study import study
from flows.cli.suites import suites
from flows.cli.train import train
from flows.cli.translate import translate
from flows.cli.verify import verify
from flows.cli.weights import weights


def _print_version(asked: bool) -> None:
    if not asked:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        own = version("mgi")
    except PackageNotFoundError:
        own = "of a checkout that is not installed"
    print(f"mgi {own} (Python {platform.python_version()}, PyTorch {version('torch')})")
    raise typer.Exit


app = typer.Typer(
    name="mgi",
    cls=Verbs,
    help="Translate image folders: the structure of the sources, the style of the exemplars (Multiple GAN Inversion).",
    epilog="Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 done except for quarantined pairs, "
    f"130 interrupted.\n\n{HELP}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _mgi(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print versions and exit.")
    ] = False,
) -> None:
    pass


RUNS = (translate, invert, edit, resume, verify, select, status, report, paste, export, pack, clean)
EVALUATIONS = (evaluate, compare, leaderboard, diversity)
for verb in (*RUNS, *EVALUATIONS, conditions, sample, doctor, profiles, init, suites, methods, metrics):
    app.command(cls=Verb)(verb)
app.command("compare-sets", cls=Verb)(compare_sets)
app.command("compare-labels", cls=Verb)(compare_labels)
app.command("compare-boxes", cls=Verb)(compare_boxes)
app.add_typer(directions, name="directions")
app.add_typer(weights, name="weights")
app.add_typer(train, name="train")
app.add_typer(study, name="study")


def main() -> None:
    """Entry point of the `mgi` script."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a batch system's polite kill is an interrupt too
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # so is a closed terminal, except under nohup
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    app(prog_name="mgi")
