"""The run's tables, written while its markers are read: no table is ever in memory."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pandas as pd

from mgi.config import RunConfig
from storage.run_store import RunStore
from storage.spool import Spool
from storage.table_files import table_files, write_table
from storage.tables import (
    METRIC_COLUMNS,
    PAIR_COLUMNS,
    Further,
    hypotheses_table,
    metrics_table,
    pairs_table,
    summary_table,
)
from tasks.report.columns import LANES
from tasks.report.overview import Overview
from tasks.report.rows import read_blocks


def write_tables(store: RunStore, config: RunConfig, spool: Spool) -> tuple[Overview, pd.DataFrame]:
    """Read a run once and write its tables; returns what its page says of the whole run, and the summary.

    Which columns the tables have is only known when all markers were read, so rows wait in `spool`, a file on the run's
    disk. The page takes its pairs from there: (hypotheses, pairs, metrics, ids of pairs without a warp) of every block.
    """
    overview, folder = Overview(config), Path(store.path) / "tables"
    pairs, lanes, metrics = Further(), Further(), Further()
    for block in read_blocks(store, config):
        overview.add(block)
        lanes.add(block.lanes, LANES.hypothesis_columns)
        pairs.add(block.pairs, PAIR_COLUMNS)
        metrics.add(block.metrics, METRIC_COLUMNS)
        spool.add((block.lanes, block.pairs, block.metrics, block.unwarped))
    measured = overview.metrics.measured
    more_lanes, more_metrics = lanes.columns(LANES.hypothesis_columns), metrics.columns(METRIC_COLUMNS)
    more_pairs = pairs.columns(measured.pair_columns)
    with ExitStack() as files:
        make = {
            "hypotheses": lambda rows: hypotheses_table(rows, measured, more_lanes),
            "pairs": lambda rows: pairs_table(rows, measured, more_pairs),
            "metrics": lambda rows: metrics_table(rows, more_metrics),
        }
        add = {name: files.enter_context(table_files(folder, name, table([]))) for name, table in make.items()}
        for blocks in spool:
            for (name, table), rows in zip(make.items(), blocks[:3], strict=True):
                if rows:
                    add[name](table(rows))
    summary = summary_table(overview.summary.rows(), measured)
    write_table(folder, "summary", summary)
    return overview, summary
