"""Every column of the tables of a run: its type, its unit, and what it says. docs/data.md is made from this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Column(NamedTuple):
    """A column: pandas' name of its type, what it says, and its unit."""

    dtype: str
    said: str
    unit: str = ""


def dtypes(columns: Mapping[str, Column]) -> dict[str, str]:
    """{column: type}."""
    return {name: column.dtype for name, column in columns.items()}


PAIR_ID = Column("string", "the pair's id, which names it in all tables, arrays and files")
HYPOTHESIS = Column("string", "composing layer and number of codes, such as `L05N10`")

HYPOTHESES: dict[str, Column] = {
    "pair_id": PAIR_ID,
    "hypothesis": HYPOTHESIS,
    "composing_layer": Column("Int64", "the layer after which codes are fused"),
    "num_codes": Column("Int64", "how many codes are fused"),
    "selected": Column("boolean", "whether it is the pair's result"),
    "guarded": Column("boolean", "whether its error was too large to be chosen (`selection.fidelity_bound`)"),
    "halved": Column("boolean", "whether its search was ended early (`inversion.rungs`)"),
    "failed": Column("string", "why it failed; missing if it did not"),
}
"""Before what was measured of a hypothesis."""
SEARCH: dict[str, Column] = {
    "steps": Column("Int64", "steps that were done"),
    "coarse_steps": Column(
        "Int64", "how many of them went through the coarse head; then the loss jumps: it is that of the full picture"
    ),
    "bits": Column("Int64", "per number of generator and loss network in the search: 32, or 16 (bf16)"),
    "best_step": Column("Int64", "the step, from 0 on, whose latents are kept"),
    "loss": Column("float64", "the loss at that step"),
}
"""After the distances of the rules."""
TRUTH: dict[str, Column] = {
    "true_psnr": Column("float64", "likeness to the whole picture, where less was shown (`--degrade`)", "dB"),
    "true_vgg": Column("float64", "VGG distance to the whole picture, where less was shown"),
}

PAIRS: dict[str, Column] = {
    "index": Column("Int64", "the pair's row in every array"),
    "pair_id": PAIR_ID,
    "source": Column("string", "the source's file, below the folder of sources; `#2` at its end: its second face"),
    "exemplar": Column(
        "string", "the exemplar's file, below the folder of exemplars; missing if pictures are inverted"
    ),
    "state": Column("string", "`done`, `quarantined` or `pending`"),
    "result": Column("string", "the result's file, from the run's folder on"),
    "method": Column("string", "the method, as in `mgi methods`"),
    "hypothesis": Column("string", "the hypothesis that was chosen; missing if the method tries none"),
    "rule": Column("string", "the rule that chose it"),
    "value": Column("float64", "its distance by that rule"),
    "seconds": Column("float64", "work on the pair, all stages and workers together", "s"),
    "working_mib": Column("float64", "memory at the peak of its work, beyond networks and what was there", "MiB"),
    "warp_method": Column("string", "`plain`, `oeft`, `oeft, restarted` or `plain, oeft failed`"),
    "oeft_seconds": Column("float64", "fine-tuning of the pair", "s"),
    "matched_share": Column("float64", "share of places whose match leads there and back"),
    "aligned_source": Column("string", "how the source was cut, such as `face` or `centre`"),
    "aligned_exemplar": Column("string", "how the exemplar was cut"),
    "inverted_by": Column("string", "the hypothesis that a method with one inversion used"),
    "loss": Column("float64", "the loss of a method that optimises and tries no hypotheses"),
    "notes": Column("string", "what is to be known of its files, such as `first of 3 frames`"),
    "stage": Column("string", "where it was set aside"),
    "reason": Column("string", "why it was set aside"),
}
"""A column for every metric of ours follows."""

METRICS: dict[str, Column] = {
    "pair_id": PAIR_ID,
    "method": Column("string", "the method, as in `mgi methods`"),
    "metric": Column("string", "the metric, as in `mgi metrics`"),
    "value": Column("float64", "the number", "see `unit`"),
    "unit": Column("string", "its unit; missing if it has none"),
    "higher_is_better": Column("boolean", "its direction"),
    "rows": Column("Int64", "rows of the images that were compared; 0: their own", "pixels"),
    "version": Column("Int64", "of the metric's definition"),
    "digest": Column("string", "of all that its numbers depend on"),
    "seconds": Column("float64", "it took", "s"),
    "failed": Column("string", "why there is no number; missing if there is one"),
    "summary": Column("string", "what it measures"),
}

MEASURES: dict[str, Column] = {
    "pair_id": PAIR_ID,
    "hypothesis": Column("string", "the hypothesis; missing if it was measured of the pair"),
    "measure": Column("string", "its name, as the method calls it"),
    "value": Column("float64", "the number; missing if it is a text"),
    "text": Column("string", "the text; missing if it is a number"),
}
"""What methods and metrics of other packages say; every other table has the same columns in every run."""

COUNTS: dict[str, Column] = {
    "hypothesis": HYPOTHESIS,
    "composing_layer": HYPOTHESES["composing_layer"],
    "num_codes": HYPOTHESES["num_codes"],
    "lanes": Column("Int64", "pairs that it was tried on"),
    "wins": Column("Int64", "pairs whose result it is"),
    "guarded": Column("Int64", "pairs for which its error was too large"),
    "failed": Column("Int64", "pairs for which it failed"),
}
"""Of the table of hypotheses over all pairs; means follow."""
TOTAL = {"total seconds": Column("float64", "its work, all pairs together", "s")}
