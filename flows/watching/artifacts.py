"""What a flow run leaves at the Prefect server: its artifacts, under keys that no other deployment or RUN has.

All of them are copies of what is in RUN, small enough to look at; nothing is ever read back from them.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)
from prefect.runtime import deployment, flow_run

from flows.settings import load_settings
from storage.remote.address import is_remote

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 200
"""Rows of a table that an artifact shows; the files in RUN/tables have all."""
SIDE = 640
"""Longest side of a picture, in pixels: artifacts are rows of a database."""


@dataclass(frozen=True)
class Place:
    """Whose artifacts they are: the run's folder or address, and the deployment, or the flow if there is none."""

    run: str
    owner: str

    @classmethod
    def of(cls, run: str) -> Place:
        """The place of a run for the flow run that is going on."""
        return cls(run, str(deployment.name or flow_run.flow_name or "mgi"))

    def key(self, what: str) -> str:
        """The key of an artifact: lower case, digits and dashes, and a hash that tells folders of one name apart.

        Example:
            >>> Place("/data/runs/First run", "translate").key("progress")
            'translate-first-run-dfc28a-progress'
        """
        whole = self.run.rstrip("/") if is_remote(self.run) else str(Path(self.run).absolute())
        digest = hashlib.sha256(whole.encode()).hexdigest()[:6]
        return "-".join([_plain(self.owner), _plain(whole.rpartition("/")[2]) or "run", digest, what])


def show_table(place: Place, what: str, table: pd.DataFrame, says: str) -> None:
    """Show the first rows of a table."""
    more = f" (the first {SHOWN} of {len(table)} rows)" if len(table) > SHOWN else ""
    rows = [{str(name): _cell(value) for name, value in row.items()} for row in table.head(SHOWN).to_dict("records")]
    create_table_artifact(rows or [{"rows": "none"}], key=place.key(what), description=says + more)


def show_picture(place: Place, what: str, file: Path, says: str) -> None:
    """Show a picture, scaled down, as part of the artifact: the browser need not reach the run's folder."""
    create_image_artifact(picture_url(file), key=place.key(what), description=says)


def picture_url(file: Path) -> str:
    """A picture as a `data:` address, at most `SIDE` pixels long and about 100 kB."""
    from PIL import Image

    with Image.open(file) as opened:
        small = opened.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def show_link(place: Place, what: str, file: str, says: str) -> None:
    """Show where a page is."""
    create_link_artifact(page_url(file), link_text=file, key=place.key(what), description=says)


def page_url(file: str) -> str:
    """The address of a page: below `MGI_RUNS_URL` if that serves its folder, else as a file of its machine.

    Raises:
        ConfigError: the variable has an impossible value.
    """
    if is_remote(file):
        return file
    whole = Path(file).absolute()
    folder, _, url = (load_settings().runs_url or "").partition("=")
    if url and whole.is_relative_to(folder):
        return f"{url.rstrip('/')}/{whole.relative_to(folder).as_posix()}"
    return whole.as_uri()


def show_text(place: Place, what: str, lines: list[str], says: str) -> None:
    """Show paragraphs of Markdown."""
    create_markdown_artifact("\n\n".join(lines), key=place.key(what), description=says)


def show_quarantine(place: Place, reasons: Mapping[str, str]) -> None:
    """Show the pairs that were left out, and why."""
    rows = [{"pair": pair, "reason": reason} for pair, reason in reasons.items()][:SHOWN]
    create_table_artifact(rows, key=place.key("quarantine"), description="Pairs that were left out, and why")


def _cell(value: Any) -> Any:
    """A value as JSON has it: a missing number is none, and the others have four digits."""
    if value is None or value != value or str(value) == "<NA>":
        return None
    if isinstance(value, float):
        return float(f"{value:.4g}")
    return value if isinstance(value, (int, bool)) else str(value)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-")
