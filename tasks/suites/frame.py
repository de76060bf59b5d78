"""One tidy table of an evaluation: a row per pair and metric, per set and metric, and per published number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mgi.metrics.reduced import Estimate
from storage.columns import Column, dtypes
from storage.run_store import RunStore
from tasks.stages.translate import GIVEN
from tasks.suites.sets import ImageSet, metric_of_sets, short_hashes
from tasks.suites.size import million_numbers
from tasks.suites.suite import Suite

EVALUATION: dict[str, Column] = {
    "suite": Column("string", "the suite's name"),
    "version": Column("Int64", "the suite's version"),
    "run": Column("string", "folder of the method's run; of a published number its source"),
    "data_set": Column("string", "the data set and its split"),
    "method": Column("string", "the row of the suite"),
    "pair_id": Column("string", "the pair's id; missing if the number is of a whole set"),
    "metric": Column("string", "the metric, as in `mgi metrics`, or `parameters`, `seconds`, `working-memory`"),
    "value": Column("float64", "the number", "see `unit`"),
    "low": Column("float64", "lower end of its interval of 95 %", "see `unit`"),
    "high": Column("float64", "upper end", "see `unit`"),
    "n": Column("Int64", "pictures that it is of"),
    "unit": Column("string", "its unit; empty if it has none"),
    "higher_is_better": Column("boolean", "its direction"),
    "network": Column("string", "networks that measured it"),
    "network_sha256": Column("string", "the first twelve digits of their hashes"),
    "resize": Column("string", "how images were resized"),
    "reference": Column("string", "the set that it was compared with"),
    "files": Column("string", "format of the pictures' files"),
    "seconds": Column("float64", "measuring took", "s"),
    "software": Column("string", "versions"),
    "status": Column("string", "`ok`, `published`, a note on a set's number, or begins with `failed` or `not run`"),
}
COLUMNS: dict[str, str] = dtypes(EVALUATION)
"""{column: type} of the tidy table."""
OK, NOT_RUN, PUBLISHED, FAILED = "ok", "not run", "published", "failed"
"""How `status` begins."""


def pair_rows(suite: Suite, name: str, run: str) -> list[dict[str, Any]]:
    """Rows of one method from its run's own tables: metrics of every pair, and the seconds it took to make."""
    shared = _shared(suite, name, run)
    header = RunStore.open(run).header
    software = _software(header)
    tables = Path(run) / "tables"
    rows: list[dict[str, Any]] = []
    metrics = pd.read_parquet(tables / "metrics.parquet")
    networks = {metric: _networks(metric) for metric in metrics["metric"].unique()}
    hashes = header.get("weights") or {}
    for found in metrics.to_dict("records"):
        weights, rows_of = networks[found["metric"]], found["rows"]
        failed = found["failed"]
        rows.append(
            {
                **shared,
                **{key: found[key] for key in ("pair_id", "metric", "value", "higher_is_better", "seconds")},
                "unit": "" if pd.isna(found["unit"]) else found["unit"],
                "n": 1,
                "network": ", ".join(weights),
                "network_sha256": ", ".join(str(hashes.get(weight, ""))[:12] for weight in weights),
                "resize": f"{rows_of} x {rows_of}" if rows_of else "own size",
                "files": "PNG",
                "software": software,
                "status": OK if pd.isna(failed) else f"{FAILED}: {failed}",
            }
        )
    if header["config"].get("translator") == GIVEN:  # whoever made them knows how long it took
        return rows
    if (size := million_numbers(header, run)) is not None:
        numbers = {"metric": "parameters", "value": size, "unit": "million", "higher_is_better": False, "n": 1}
        rows.append({**shared, **numbers, "software": software, "status": OK})
    pairs, judging = pd.read_parquet(tables / "pairs.parquet"), metrics.groupby("pair_id")["seconds"].sum()
    for found in pairs.to_dict("records"):
        done = found["state"] == "done"
        status = OK if done else f"{FAILED}: {found['reason']}"
        # What a pair took before it failed is not what one takes.
        made = found["seconds"] - judging.get(found["pair_id"], 0.0) if done else None
        cost = {"value": made, "unit": "s", "higher_is_better": False, "n": 1, "software": software}
        rows.append({**shared, **cost, "pair_id": found["pair_id"], "metric": "seconds", "status": status})
        memory = cost | {"value": found.get("working_mib") if done else None, "unit": "MiB"}
        rows.append({**shared, **memory, "pair_id": found["pair_id"], "metric": "working-memory", "status": status})
    return rows


def set_rows(
    suite: Suite, name: str, run: str, found: Mapping[str, Estimate], images: ImageSet, reference: ImageSet | None
) -> Iterable[dict[str, Any]]:
    """Rows of one method for metrics of whole sets."""
    for metric_name, estimate in found.items():
        one = metric_of_sets(metric_name, "sets")
        assert one.reduction is not None
        yield {
            **_shared(suite, name, run),
            "metric": metric_name,
            "value": estimate.value,
            "low": estimate.low,
            "high": estimate.high,
            "n": len(images),
            "unit": one.unit,
            "higher_is_better": one.higher_is_better,
            "network": ", ".join(one.weights),
            "network_sha256": ", ".join(short_hashes(one.weights)),
            "resize": one.reduction.resize,
            "reference": reference.what if reference and one.needs else None,
            "files": images.files,
            "software": _software({}),
            "status": estimate.note or OK,
        }


def not_run_row(suite: Suite, name: str, reason: str) -> dict[str, Any]:
    """The row of a method that could not be run."""
    return {**_shared(suite, name, ""), "n": 0, "status": f"{NOT_RUN}: {reason}"}


def published_rows(suite: Suite) -> Iterable[dict[str, Any]]:
    """Numbers that papers print, marked as such."""
    for number in suite.published:
        shared = _shared(suite, number.method, number.source)
        yield {**shared, "metric": number.metric, "value": number.value, "status": PUBLISHED}


def frame_of(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The table, with all columns in their types."""
    records = [{name: row.get(name) for name in COLUMNS} for row in rows]
    table = pd.DataFrame.from_records(records, columns=list(COLUMNS))
    return table.astype(COLUMNS)


def read_frame(out: str | Path) -> pd.DataFrame:
    """The table of an evaluation that was made before.

    Raises:
        mgi.config.ConfigError: there is none, or it cannot be read.
    """
    from mgi.config import ConfigError

    path = Path(out) / "tables" / "evaluation.parquet"
    if not path.is_file():
        raise ConfigError(f"{out}: expected an evaluation with tables/evaluation.parquet; make it with `mgi evaluate`")
    try:
        return pd.read_parquet(path).reindex(columns=list(COLUMNS)).astype(COLUMNS)
    except (OSError, ValueError) as error:  # Arrow's are of these
        why = str(error).splitlines()[0]
        raise ConfigError(f"{path} cannot be read ({why}); `mgi evaluate {out}` makes it again") from None


def _shared(suite: Suite, name: str, run: str) -> dict[str, Any]:
    said = " ".join(filter(None, (suite.data.set or suite.name, suite.data.split)))
    return {"suite": suite.name, "version": suite.version, "run": run, "data_set": said, "method": name}


def _networks(name: str) -> tuple[str, ...]:
    from mgi.metrics.registry import metric
    from mgi.registry import RegistryError

    try:
        return metric(name).weights
    except RegistryError:  # measured by a package that is gone
        return ()


def _software(header: Mapping[str, Any]) -> str:
    from tasks.versions import versions

    found = header.get("versions") or versions()
    return ", ".join(f"{name} {found[name]}" for name in ("mgi", "torch", "torchvision", "pillow") if name in found)
