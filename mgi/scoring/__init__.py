"""Which hypothesis wins: the rules of selection, written with metrics."""

from mgi.scoring.domains import load_detail, load_domain
from mgi.scoring.judge import Judge
from mgi.scoring.selection import Choice, SelectionError, select, select_set

__all__ = ["Choice", "Judge", "SelectionError", "load_detail", "load_domain", "select", "select_set"]
