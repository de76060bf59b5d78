"""Labels of samples: a CSV file with the columns index and label, and the two classes that they make."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from mgi.config import ConfigError


def read_labels(path: Path, count: int) -> dict[int, str]:
    """{sample: label} of a CSV file with the columns index and label. Raises ConfigError, naming the row."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            columns = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = columns
            rows = list(reader)
    except FileNotFoundError:
        raise ConfigError(f"labels {path} does not exist; expected a CSV file with the columns index,label") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"labels {path} cannot be read as UTF-8 CSV ({error})") from None
    if not {"index", "label"} <= set(columns):
        raise ConfigError(f"labels {path} needs the columns index and label, found {', '.join(columns) or 'none'}")
    labels: dict[int, str] = {}
    for line, row in enumerate(rows, 2):
        index, label = (row["index"] or "").strip(), (row["label"] or "").strip()
        if not label:
            continue
        if not index.isdecimal() or int(index) >= count:
            raise ConfigError(f"labels {path}, row {line}: index {index or 'missing'}; samples are 0 to {count - 1}")
        if int(index) in labels:
            raise ConfigError(f"labels {path}, row {line}: sample {index} has a label already; keep one of them")
        labels[int(index)] = label
    return labels


def two_classes(
    labels: list[str], threshold: float | None = None, positive: str | None = None
) -> tuple[np.ndarray, tuple[str, str]]:
    """Which labels are on the positive side (bool [n]), and the names of both sides, the negative one first."""
    distinct = sorted(set(labels), key=lambda text: (_number(text) is None, _number(text) or 0.0, text))
    if threshold is None and len(distinct) == 2:
        if positive not in (None, *distinct):
            raise ConfigError(f"--positive {positive}: the labels are {distinct[0]} and {distinct[1]}")
        up = positive or distinct[1]
        return np.array([label == up for label in labels]), (distinct[1 - distinct.index(up)], up)
    if positive is not None:
        raise ConfigError("--positive is for two classes; of numbers, the larger ones are positive")
    numbers = [_number(label) for label in labels]
    if None in numbers or len(distinct) < 2:
        shown = ", ".join(distinct[:4]) or "none"
        raise ConfigError(f"expected labels of two classes, or numbers; found {len(distinct)} different ones: {shown}")
    values = np.array(numbers, np.float64)
    cut = float(np.median(values)) if threshold is None else threshold
    return values > cut, (f"up to {cut:g}", f"above {cut:g}")


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None
