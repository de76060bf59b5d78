"""Stage `report`: the tables, the contact sheet and the page of a run, from what its store holds and nothing else."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mgi.config import ConfigError, RunConfig
from mgi.profiles import load_config
from mgi.translators.registry import method as method_of
from storage.atomic import write_text
from storage.run_changes import grown
from storage.run_store import RunStore
from storage.tables import hypotheses_table, pairs_table, summary_table, write_tables
from tasks.report.charts import loss_chart, mean_losses
from tasks.report.contact_sheet import contact_sheet
from tasks.report.history import growth_lines, inputs_of
from tasks.report.lettering import format_distance
from tasks.report.pictures import MethodOrLoader, Pictures
from tasks.report.rows import read_rows
from tasks.report.sheet_layout import SheetHypothesis, SheetRow
from tasks.stages.invert import array_name
from tasks.stages.plan import weight_names
from tasks.stored import stored_config

PAGE = "report.html"
GALLERY = 48
"""Pairs shown as pictures on the page and the sheet. All pairs are in the tables, all results in final/."""
STAND_IN = "stand-ins with random weights: this sheet shows that the run ends, not what it gives"
LANES = 1200
"""Rows of the page's table of hypotheses; the files in tables/ hold all of them."""


def build_report(store: RunStore, method: MethodOrLoader = None, seconds: float | None = None) -> Path:
    """Write tables/, contact_sheet.png, report/ (small pictures) and report.html of a run, complete or not.

    Nothing that is already there and right is written again. Pictures of losing hypotheses need the generator once;
    without a method those that were never rendered are left out and the page says so.

    Args:
        store: the run.
        method: renders hypotheses that have no picture yet; may be a function that loads it.
        seconds: wall-clock time of the command that asks, shown beside the time of the work itself.

    Returns:
        Path of the page.
    """
    config = stored_config(store.header, str(store.path))
    rows, growth = read_rows(store, config), growth_lines(store.header, config)
    lanes = hypotheses_table(rows.lanes)
    summary = summary_table(lanes)
    write_tables(Path(store.path) / "tables", hypotheses=lanes, pairs=pairs_table(rows.pairs), summary=summary)

    pictures = Pictures(store, method)
    by_pair = {pair_id: list(group) for pair_id, group in groupby(rows.lanes, key=lambda lane: lane["pair_id"])}
    losses: dict[str, list[np.ndarray]] = {}
    cards = []
    for pair in rows.by_state("done")[:GALLERY]:
        cards.append(_card(store, config, pictures, pair, by_pair.get(pair["pair_id"], []), losses))
    if cards:
        sheet = (_sheet_row(pictures, card) for card in cards)
        warning = STAND_IN if store.header.get("stand_ins") else None
        path, note = Path(store.path) / "contact_sheet.png", "; ".join(growth)
        contact_sheet(sheet, path, rule=config.selection.rule, warning=warning, note=note and f"grown: {note}")

    template = _environment().get_template("report.html.j2")
    page = template.render(
        run=Path(store.path).name,
        config=config,
        digest=store.header["digest"],
        toml=toml_of(config),
        method=_method(config),
        header=store.header,
        stand_ins=store.header.get("stand_ins") or {},
        domain=_domain(config),
        inputs=grown(store.header).get("inputs", {}),
        growth=growth,
        weights=_weights(config, store.header.get("weights") or {}),
        rows=rows,
        seconds=seconds,
        stages=rows.stage_seconds,
        cards=cards,
        more=len(rows.by_state("done")) - len(cards),
        chart=loss_chart(mean_losses(losses), None),
        summary=summary.to_dict("records"),
        lanes=rows.lanes[:LANES],
        more_lanes=max(0, len(rows.lanes) - LANES),
        commands=_commands(store, config),
    )
    path = Path(store.path) / PAGE
    write_text(path, page)
    return path


def _card(
    store: RunStore,
    config: RunConfig,
    pictures: Pictures,
    pair: dict[str, Any],
    lanes: list[dict[str, Any]],
    losses: dict[str, list[np.ndarray]],
) -> dict[str, Any]:
    """Everything the gallery shows of one pair; its loss curves are also added to `losses` for the run's mean."""
    pair_id, index = pair["pair_id"], pair["index"]
    curves: dict[str, np.ndarray] = {}
    tiles = []
    for lane in lanes:
        id = lane["hypothesis"]
        if lane["failed"] is None:
            curves[id] = _loss(store, id, index)
            losses.setdefault(id, []).append(curves[id])
        picture = pictures.hypothesis(pair_id, index, id) if lane["failed"] is None else None
        tiles.append({**lane, "picture": picture, "distance": lane.get(config.selection.rule)})
    if config.task == "invert":
        names = {"source": pair["source"], "warp": "as observed"}
    else:
        names = {"source": pair["source"], "exemplar": pair["exemplar"], "warp": "exemplar warped to the source"}
    return {
        **pair,
        "title": f"{pair['source']} + {pair['exemplar']}" if pair["exemplar"] else pair["source"],
        "inputs": {name: pictures.input(pair_id, index, name) for name in names},
        "names": names,
        "tiles": tiles,
        "result": pictures.result(pair_id),
        "final": pictures.final(pair_id),
        "chart": loss_chart(curves, pair.get("hypothesis")),
    }


def _loss(store: RunStore, hypothesis_id: str, index: int) -> np.ndarray:
    try:
        return np.asarray(store.read(array_name("loss", hypothesis_id), index))
    except (KeyError, FileNotFoundError):  # a method need not keep its losses
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
        warp if warp is not None else blank,
        tiles,
        result if result is not None else blank,
        card["title"].replace(" + ", "  +  "),
    )


def _method(config: RunConfig) -> str:
    """What the run's method is, in a line; its package may be gone."""
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


def _weights(config: RunConfig, hashes: Mapping[str, str]) -> list[dict[str, Any]]:
    """The networks of the run with their licences; one given as a file has none that we know."""
    from mgi.weights import zoo

    known = {entry.name: entry for entry in zoo.entries()}
    found = []
    for name in weight_names(config):
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


def _commands(store: RunStore, config: RunConfig) -> dict[str, str]:
    """Shell commands that go on with this run, and that make it anew elsewhere."""
    run = str(store.path)
    inputs = inputs_of(store.header, run)
    folders = [str(inputs.get("sources", ""))]
    if config.task == "translate":
        folders.append(str(inputs.get("exemplars", "")))
    again = ["mgi", config.task, *folders, "--out", "NEW_RUN", "--profile", config.profile]
    again += ["--method", config.inversion.method]
    for key in ("pairing", "limit", "seed"):
        if inputs.get(key) is not None and not (key == "pairing" and config.task == "invert"):
            again += [f"--{key}", str(inputs[key])]
    for key, value in sorted(_overrides(config).items()):
        again += ["--set", f"{key}={_toml_value(value)}"]
    return {"resume": shlex.join(["mgi", "resume", run]), "again": shlex.join(again)}


def _overrides(config: RunConfig) -> dict[str, Any]:
    """Keys in which a configuration differs from its profile; none where the profile is not at hand."""
    try:
        profile = _flat(load_config(config.profile, method=config.inversion.method).model_dump(mode="json"))
        profile["task"] = config.task
    except (ConfigError, OSError):
        return {}
    return {key: value for key, value in _flat(config.model_dump(mode="json")).items() if profile.get(key) != value}


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def toml_of(config: RunConfig) -> str:
    """The whole configuration as a profile file that `--profile` accepts."""
    data = config.model_dump(mode="json")
    lines = _toml_lines(data)
    for section, values in data.items():
        if isinstance(values, dict):
            lines += ["", f"[{section}]", *_toml_lines(values)]
    return "\n".join(lines) + "\n"


def _toml_lines(data: Mapping[str, Any]) -> list[str]:
    # TOML has no null: a key that is None by default is left out, and None again when it is read.
    flat = {key: value for key, value in data.items() if value is not None and not isinstance(value, dict)}
    return [f"{key} = {_toml_value(value)}" for key, value in flat.items()]


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml_value, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # JSON's escapes are a part of TOML's
    return repr(value)


def _environment() -> Environment:
    folder = resources.files("tasks.report") / "templates"
    environment = Environment(
        loader=FileSystemLoader(str(folder)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"distance": _distance, "duration": duration, "url": quote}
    return environment


def _distance(value: Any) -> str:
    return "–" if value is None or value != value else format_distance(float(value))


def duration(seconds: float | None) -> str:
    """42 s, 3 min 20 s, 2 h 05 min, 14 days 3 h."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} days {hours % 24} h"
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
