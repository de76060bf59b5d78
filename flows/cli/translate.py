"""`mgi translate`: the main job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.arguments import Arguments
from flows.cli import completion
from flows.cli.common import (
    Answer,
    DashboardOption,
    ExtendOption,
    FacesOption,
    MetricsOption,
    OutOption,
    PatienceOption,
    SchedulerOption,
    WorkersOption,
    choose_cluster,
    chosen_faces,
    err,
    guarded,
)
from flows.cli.copies import Copies, ExportToOption, FormatOption, NameOption, QualityOption
from flows.cli.dry_run import DryRunOption, StrictOption, check_options, show_dry_run
from flows.cli.paste import paste_all, require_folder
from flows.cli.single import is_single, refuse, write_single
from flows.errors import Exit
from flows.settings import chosen_method, load_settings, parse_assignments, use_prefect


@guarded
def translate(
    sources: Annotated[Path, typer.Argument(help="Folder of the images whose structure is kept, or one image.")],
    exemplars: Annotated[Path, typer.Argument(help="Folder of the images whose style is taken, or one image.")],
    out_dir: OutOption,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE.toml",
            autocompletion=completion.profiles,
            help="`mgi profiles` lists the names.  [default: embedded]",
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completion.methods,
            help="How images are made; `mgi methods` lists the names.  [default: the profile's]",
        ),
    ] = None,
    warp: Annotated[
        Literal["plain", "oeft"] | None,
        typer.Option(help="plain, or fine-tuned on every pair first: minutes more per pair.  [default: the profile's]"),
    ] = None,
    pairing: Annotated[
        str | None,
        typer.Option(
            metavar="zip|product|random|PAIRS.csv",
            autocompletion=completion.pairings,
            help="How sources meet exemplars; a .csv file has the columns source and exemplar.  [default: zip]",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="At most this many pairs.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="S", help="Seed of random pairing and starting points.  [default: 0]")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override the profile; may be repeated."),
    ] = None,
    faces: FacesOption = None,
    extend: ExtendOption = False,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    patience: PatienceOption = None,
    dashboard: DashboardOption = False,
    metrics: MetricsOption = None,
    paste_back: Annotated[
        bool, typer.Option("--paste-back", help="At the end, as `mgi paste`: results in their source photographs, too.")
    ] = False,
    export_to: ExportToOption = None,
    name: NameOption = None,
    format: FormatOption = None,
    quality: QualityOption = None,
    dry_run: DryRunOption = False,
    strict: StrictOption = False,
) -> Answer:
    """Translate SOURCES by EXEMPLARS into RUN: warp, invert, select, report.

    Of two pictures, `mgi translate A.jpg B.jpg --out RESULT.png` makes one.
    """
    check_options(dry_run, strict)
    settings = load_settings()
    assigned = parse_assignments(assignments or [])
    overrides = {
        **settings.overrides(),
        **assigned,
        **_chosen_warp(warp),
        **chosen_faces(faces),
        **chosen_method(method, settings, assigned),
    }
    copies = Copies(export_to, name, format, quality)
    if is_single([sources, exemplars], out_dir):
        refuse(
            {
                "--extend": extend,
                "--paste-back": paste_back,
                "--dry-run": dry_run,
                "--faces all": faces == "all",
                **copies.typed(),
            },
            {
                "--pairing": pairing,
                "--limit": limit,
                "--workers": workers,
                "--scheduler": scheduler,
                "--dashboard": dashboard,
                "--metrics": metrics,
            },
        )
        begins = seed if seed is not None else settings.seed
        return write_single("translate", [sources, exemplars], out_dir, profile or settings.profile, begins, overrides)
    if paste_back:
        require_folder(str(out_dir), None)
    copies.check(out_dir, sources, exemplars)
    where = choose_cluster(workers, scheduler, settings, patience, dashboard)
    asked = Arguments(
        task="translate",
        sources=str(sources),
        exemplars=str(exemplars),
        profile=profile or settings.profile,
        pairing=pairing or settings.pairing,
        limit=limit if limit is not None else settings.limit,
        seed=seed if seed is not None else settings.seed,
        overrides=overrides,
        extend=extend,
    )
    # Not at the top: the pipeline's imports take seconds, which `mgi --help` should not.
    from flows import engine
    from flows.cli.summary import print_summary
    from flows.progress import show_progress

    if dry_run:
        return show_dry_run(asked, out_dir, where, strict)
    with show_progress(err) as observer:
        how = engine.Execution(*where, observer, use_prefect(settings), metrics)
        summary = engine.start(asked, out_dir, how)
    if not paste_back or summary.exit_code not in (Exit.DONE, Exit.QUARANTINED):
        return print_summary(summary, copies)
    pasted = paste_all(str(out_dir), None)
    ended = print_summary(summary, copies, pasted=pasted.fields)
    return replace(ended, code=max(ended.code, pasted.code))


def _chosen_warp(warp: str | None) -> dict[str, str]:
    return {} if warp is None else {"warp.method": warp}
