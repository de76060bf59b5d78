"""Stage `report`: the tables, the contact sheet and the page of a run, from its store alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mgi.config import ConfigError, RunConfig
from mgi.translators.registry import method as method_of
from storage.atomic import write_text
from storage.remote.address import called
from storage.run_changes import grown
from storage.run_store import RunStore
from storage.spool import Spool
from tasks.report.charts import coarse_steps, loss_chart, mean_losses
from tasks.report.commands import commands_of, next_step, toml_of
from tasks.report.contact_sheet import contact_sheet
from tasks.report.history import growth_lines
from tasks.report.listing import Listing
from tasks.report.pictures import MethodOrLoader, Pictures
from tasks.report.sheet_layout import SheetHypothesis, SheetRow
from tasks.report.tables import write_tables
from tasks.report.template import page_template
from tasks.stages.plan import weight_names
from tasks.stored import stored_config

PAGE = "report.html"
STAND_IN = "stand-ins with random weights: this sheet shows that the run works, not what it gives"


def build_report(store: RunStore, method: MethodOrLoader = None, seconds: float | None = None) -> Path:
    """Write tables/, contact_sheet.png, report/ (small pictures) and report.html of a run, complete or not.

    Nothing that is already there and right is written again. Pictures of losing hypotheses (of the first
    `tasks.report.listing.GALLERY` pairs) need the generator once; without a method those that were never rendered are
    left out and the page says so.

    Args:
        store: the run.
        method: renders hypotheses that have no picture yet; may be a function that loads it.
        seconds: wall-clock time of the command that asks, shown next to the time of the work itself.

    Returns:
        Path of the page.
    """
    config = stored_config(store.header, str(store.path))
    growth = growth_lines(store.header, config)
    pictures = Pictures(store, method)
    with Spool(store.path) as spool:
        overview, summary = write_tables(store, config, spool=spool)
        metrics = overview.metrics.shown()
        listing = Listing(store, config, pictures, metrics)
        for pairs, lanes, unwarped in spool:
            listing.add(pairs, lanes, unwarped)
    if listing.gallery:
        sheet = (_sheet_row(pictures, view) for view in listing.gallery)
        warning = STAND_IN if store.header.get("stand_ins") else None
        path, note = Path(store.path) / "contact_sheet.png", "; ".join(growth)
        contact_sheet(sheet, path, rule=config.selection.rule, warning=warning, note=note and f"grown: {note}")
    chart = loss_chart(mean_losses(listing.losses), None, coarse_steps(config))

    page = page_template().render(
        run=Path(called(store.path)).name,
        config=config,
        digest=store.header["digest"],
        toml=toml_of(config),
        method=_method(config),
        header=store.header,
        stand_ins=store.header.get("stand_ins") or {},
        domain=_domain(config),
        inputs=grown(store.header).get("inputs", {}),
        growth=growth,
        weights=_weights(config, store.header),
        found=overview,
        next_step=next_step,
        seconds=seconds,
        stages=overview.stage_seconds,
        listed=len(listing.rows),
        in_gallery=len(listing.gallery),
        data=listing.shown() | {"chart": chart and asdict(chart)},
        summary=summary.to_dict("records"),
        metrics=metrics,
        commands=commands_of(store, config),
    )
    path = Path(store.path) / PAGE
    write_text(path, page)
    return path


def _sheet_row(pictures: Pictures, view: dict[str, Any]) -> SheetRow:
    paths = view["pictures"]
    source, exemplar, warp = (pictures.read(paths.get(name)) for name in ("source", "exemplar", "warp"))
    result = pictures.read(view["final"])
    blank = np.full((8, 8, 3), 240, np.uint8)
    tiles = [
        SheetHypothesis(
            tile["name"],
            pictures.read(tile["picture"]),
            float("nan") if tile["distance"] is None else float(tile["distance"]),
            tile["selected"],
            tile["guarded"],
            bool(tile["failed"]),
            tile["halved"],
        )
        for tile in view["lanes"]
    ]
    return SheetRow(
        view["id"],
        source if source is not None else blank,
        exemplar if exemplar is not None or "exemplar" not in paths else blank,
        warp if warp is not None or "warp" not in paths else blank,
        tiles,
        result if result is not None else blank,
        view["title"].replace(" + ", "  +  "),
    )


def _method(config: RunConfig) -> str:
    """The run's method in one line; its package may be gone."""
    try:
        found = method_of(config.method)
    except ConfigError:
        return "not installed here"
    return f"{found.summary} ({found.paper})" if found.paper else found.summary


def _domain(config: RunConfig) -> str:
    """What hypotheses are compared with, in words."""
    s = config.selection
    if s.domain == "generator":
        return f"{s.domain_samples} samples of the generator"
    return f"real images: {s.domain} (at most {s.domain_samples})"


def _weights(config: RunConfig, header: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All networks behind the numbers, with their licences; one given as a file has none that we know."""
    from mgi.weights import zoo

    known = {entry.name: entry for entry in zoo.entries()}
    found = []
    hashes = header.get("weights") or {}
    try:
        used = weight_names(config)
    except ConfigError:  # the method's package is gone; what it used is in the header
        used = []
    names = [*used, *(name for name in hashes if name in known)]
    for name in dict.fromkeys(names):
        entry = known.get(name)
        found.append(
            {
                "name": name,
                "title": entry.title if entry else "a file of your own",
                "licence": entry.licence if entry else "unknown: see where the file came from",
                "citation": entry.citation if entry else "",
                "sha256": hashes.get(name, ""),
            }
        )
    return found
