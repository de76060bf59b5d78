"""The run's tables, written while its markers are read: no table is ever in memory."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd

from mgi.config import RunConfig
from storage.run_store import RunStore
from storage.spool import Spool
from storage.table_files import table_files, write_table
from storage.tables import hypotheses_table, measures_of, measures_table, metrics_table, pairs_table, summary_table
from tasks.report.columns import MEASURED
from tasks.report.overview import Overview
from tasks.report.rows import Block, read_blocks


def write_tables(
    store: RunStore, config: RunConfig, folder: Path | None = None, spool: Spool | None = None
) -> tuple[Overview, pd.DataFrame]:
    """Read a run once and write its tables; returns what else its page needs, and the summary.

    Args:
        store: the run.
        config: its configuration.
        folder: where the tables go; None: the run's own place for them.
        spool: gets (pairs, lanes, ids of pairs without a warp) of every block, from which the page is made, because it
            has to know first what the whole run measured.
    """
    overview, folder = Overview(config), folder or Path(store.path) / "tables"
    with ExitStack() as files:
        empty = _tables(Block())
        add = {name: files.enter_context(table_files(folder, name, table)) for name, table in empty.items()}
        for block in read_blocks(store, config):
            overview.add(block)
            if spool is not None:
                spool.add((block.pairs, block.lanes, block.unwarped))
            for name, table in _tables(block).items():
                if len(table):
                    add[name](table)
    summary = summary_table(overview.summary.rows(), MEASURED)
    write_table(folder, "summary", summary)
    return overview, summary


def _tables(block: Block) -> dict[str, pd.DataFrame]:
    measures: list[dict[str, Any]] = measures_of(block.pairs, block.lanes, block.metrics, MEASURED)
    return {
        "hypotheses": hypotheses_table(block.lanes, MEASURED),
        "pairs": pairs_table(block.pairs, MEASURED),
        "metrics": metrics_table(block.metrics),
        "measures": measures_table(measures),
    }
