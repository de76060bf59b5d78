"""`mgi invert`: pictures as they are, through a generator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flows.arguments import SNAPSHOTS, Arguments
from flows.cli import completion
from flows.cli.common import (
    Answer,
    DashboardOption,
    ExtendOption,
    FacesOption,
    MetricsOption,
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
from flows.cli.single import is_single, refuse, result_of, write_single
from flows.settings import chosen_method, load_settings, parse_assignments, use_prefect

OptionalOut = Annotated[
    str | None,
    typer.Option(
        "--out",
        metavar="RUN",
        help="Folder of the run, or an address s3://BUCKET/NAME; one that is there is continued.  "
        "[default: of one picture NAME-inverted.png; else required]",
    ),
]


@guarded
def invert(
    images: Annotated[Path, typer.Argument(help="Folder of the pictures, or one picture.")],
    out_dir: OptionalOut = None,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completion.methods,
            help="How pictures are inverted; `mgi methods` lists the names.  [default: the profile's]",
        ),
    ] = None,
    degrade: Annotated[
        str | None,
        typer.Option(
            metavar="OPERATOR",
            help="Recover pictures from: down2 to down16 (super-resolution), gray (colorization), mask or mask:FILE "
            "(inpainting; white is missing), strokes, rain, rain-layers, noiseN, jpegQ, or several such as "
            "rain+mask+down2.  [default: none, a reconstruction]",
        ),
    ] = None,
    refine: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Steps of optimisation after an encoder's answer.  [default: 0]"),
    ] = None,
    given: Annotated[
        bool, typer.Option("--given", help="The pictures are already degraded; otherwise they are degraded first.")
    ] = False,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE.toml",
            autocompletion=completion.profiles,
            help="`mgi profiles` lists the names.  [default: embedded]",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="At most this many pictures.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="S", help="Seed of starting points, masks and rain.  [default: 0]")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override profile and method; may be repeated."),
    ] = None,
    video: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Write videos of the optimisation of the first N usable pictures."),
    ] = None,
    faces: FacesOption = None,
    extend: ExtendOption = False,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    patience: PatienceOption = None,
    dashboard: DashboardOption = False,
    metrics: MetricsOption = None,
    export_to: ExportToOption = None,
    name: NameOption = None,
    format: FormatOption = None,
    quality: QualityOption = None,
    dry_run: DryRunOption = False,
    strict: StrictOption = False,
) -> Answer:
    """Invert IMAGES into RUN: find the latent codes that reproduce each picture, or what is left of it.

    Of one picture, `mgi invert A.jpg --out RESULT.png` makes one; without --out it is called A-inverted.png.
    """
    out_dir = result_of(images, out_dir)
    check_options(dry_run, strict)
    settings = load_settings()
    assigned = parse_assignments(assignments or [])
    overrides: dict[str, Any] = {**settings.overrides(), **assigned, **chosen_method(method, settings, assigned)}
    overrides |= chosen_faces(faces)
    if degrade is not None:
        overrides["inversion.degradation"] = degrade
    if refine is not None:
        overrides["options.refine"] = refine
    if given:
        overrides["inversion.observed"] = "given"
    if video is not None:
        overrides.setdefault("inversion.snapshots", SNAPSHOTS)
    copies = Copies(export_to, name, format, quality)
    if is_single([images], out_dir):
        refuse(
            {
                "--extend": extend,
                "--video": video,
                "--dry-run": dry_run,
                "--faces all": faces == "all",
                **copies.typed(),
            },
            {
                "--limit": limit,
                "--workers": workers,
                "--scheduler": scheduler,
                "--dashboard": dashboard,
                "--metrics": metrics,
            },
        )
        begins = seed if seed is not None else settings.seed
        return write_single("invert", [images], out_dir, profile or settings.profile, begins, overrides)
    copies.check(out_dir, images)
    where = choose_cluster(workers, scheduler, settings, patience, dashboard)
    asked = Arguments(
        task="invert",
        sources=str(images),
        profile=profile or settings.profile,
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
        videos = engine.write_videos(out_dir, video, how) if video is not None else []
    return print_summary(summary, copies, videos=videos)
