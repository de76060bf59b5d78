"""Stage `report`: the tables, the contact sheet and the page of a run, from its store alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mgi.config import ConfigError, RunConfig
from mgi.translators.registry import method as method_of
from storage.atomic import write_text
from storage.remote.address import called
from storage.run_changes import grown
from storage.run_store import RunStore, StoreCorrupt
from tasks.report.charts import loss_chart, mean_losses
from tasks.report.columns import lane_columns
from tasks.report.commands import commands_of, toml_of
from tasks.report.contact_sheet import contact_sheet
from tasks.report.history import growth_lines
from tasks.report.overview import Shown
from tasks.report.pictures import MethodOrLoader, Pictures
from tasks.report.sheet_layout import SheetHypothesis, SheetRow
from tasks.report.tables import write_tables
from tasks.report.template import page_template
from tasks.stages.invert import LOSS, lane_value
from tasks.stages.plan import weight_names
from tasks.stored import stored_config

PAGE = "report.html"
STAND_IN = "stand-ins with random weights: this sheet shows that the run works, not what it gives"
BEFORE = {"translate": "warp", "invert": "observed picture"}
"""What the result can be compared with on the page."""


def build_report(store: RunStore, method: MethodOrLoader = None, seconds: float | None = None) -> Path:
    """Write tables/, contact_sheet.png, report/ (small pictures) and report.html of a run, complete or not.

    Nothing that is already there and right is written again. Pictures of losing hypotheses need the generator once;
    without a method those that were never rendered are left out and the page says so.

    Args:
        store: the run.
        method: renders hypotheses that have no picture yet; may be a function that loads it.
        seconds: wall-clock time of the command that asks, shown next to the time of the work itself.

    Returns:
        Path of the page.
    """
    config = stored_config(store.header, str(store.path))
    growth = growth_lines(store.header, config)
    overview, summary = write_tables(store, config)
    pictures = Pictures(store, method)
    losses: dict[str, list[np.ndarray]] = {}
    cards = [_card(store, config, pictures, shown, losses) for shown in overview.gallery]
    if cards:
        sheet = (_sheet_row(pictures, card) for card in cards)
        warning = STAND_IN if store.header.get("stand_ins") else None
        path, note = Path(store.path) / "contact_sheet.png", "; ".join(growth)
        contact_sheet(sheet, path, rule=config.selection.rule, warning=warning, note=note and f"grown: {note}")

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
        seconds=seconds,
        stages=overview.stage_seconds,
        cards=cards,
        more=overview.states["done"] - len(cards),
        chart=loss_chart(mean_losses(losses), None),
        summary=summary.to_dict("records"),
        lanes=overview.lanes,
        lane_columns=lane_columns(config),
        metrics=overview.metrics.shown(),
        more_lanes=overview.lane_count - len(overview.lanes),
        commands=commands_of(store, config),
    )
    path = Path(store.path) / PAGE
    write_text(path, page)
    return path


def _card(
    store: RunStore,
    config: RunConfig,
    pictures: Pictures,
    shown: Shown,
    losses: dict[str, list[np.ndarray]],
) -> dict[str, Any]:
    """Everything the gallery shows for one pair; its loss curves are also added to `losses` for the run's mean."""
    pair, lanes, warped = shown
    pair_id = pair["pair_id"]
    curves: dict[str, np.ndarray] = {}
    tiles = []
    for lane in lanes:
        id = lane["hypothesis"]
        if lane["failed"] is None:
            curves[id] = _loss(store, id, pair_id)
            losses.setdefault(id, []).append(curves[id])
        picture = pictures.hypothesis(pair_id, id) if lane["failed"] is None else None
        tiles.append({**lane, "picture": picture, "distance": lane.get(config.selection.rule)})
    if config.task == "invert":
        names = {"source": pair["source"], "warp": "as observed"}
    else:
        names = {"source": pair["source"], "exemplar": pair["exemplar"], "warp": "exemplar warped to the source"}
    if not warped:
        del names["warp"]
    inputs = {name: pictures.input(pair_id, name) for name in names}
    if warped and config.task == "translate" and config.warp.judged:
        trusted = pictures.confidence(pair_id)
        if trusted is not None:
            inputs["confidence"] = trusted
            share = pair.get("matched_share")
            names["confidence"] = "white: the warp is trusted" + (f", {share:.0%} matched" if share is not None else "")
    return {
        **pair,
        "title": f"{pair['source']} + {pair['exemplar']}" if pair["exemplar"] else pair["source"],
        "inputs": inputs,
        "names": names,
        "before": BEFORE[config.task] if warped else "source",
        "tiles": tiles,
        "result": pictures.result(pair_id),
        "final": pictures.final(pair_id),
        "chart": loss_chart(curves, pair.get("hypothesis")),
    }


def _loss(store: RunStore, hypothesis_id: str, pair_id: str) -> np.ndarray:
    try:
        return lane_value(store, LOSS, pair_id, hypothesis_id)
    except (KeyError, StoreCorrupt):  # a method need not keep its losses; a damaged curve only leaves out a line
        return np.empty(0)


def _sheet_row(pictures: Pictures, card: dict[str, Any]) -> SheetRow:
    source, exemplar, warp = (pictures.read(card["inputs"].get(name)) for name in ("source", "exemplar", "warp"))
    result = pictures.read(card["final"])
    blank = np.full((8, 8, 3), 240, np.uint8)
    tiles = [
        SheetHypothesis(
            tile["hypothesis"],
            pictures.read(tile["picture"]),
            float("nan") if tile["distance"] is None else float(tile["distance"]),
            tile["selected"],
            tile["guarded"],
            tile["failed"] is not None,
            tile["halved"],
        )
        for tile in card["tiles"]
    ]
    return SheetRow(
        card["pair_id"],
        source if source is not None else blank,
        exemplar if exemplar is not None or "exemplar" not in card["inputs"] else blank,
        warp if warp is not None or "warp" not in card["inputs"] else blank,
        tiles,
        result if result is not None else blank,
        card["title"].replace(" + ", "  +  "),
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
