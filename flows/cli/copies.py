"""`--export-to` of `mgi translate` and `mgi invert`: at the end, results under their sources' names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.common import err, made, require_writable, say
from flows.errors import Exit
from mgi.config import ConfigError
from storage.remote.address import is_remote

if TYPE_CHECKING:
    from flows.pipeline import Summary
    from tasks.export import Exported, Wanted

PARTS = "Of every file, from {source}, {exemplar}, {pair}, {hypothesis}."
FORMATS = "png|jpg|webp|tiff"

ExportToOption = Annotated[
    Path | None,
    typer.Option(
        "--export-to",
        metavar="FOLDER",
        help="At the end, as `mgi export`: copies of the results under their sources' names and subfolders.",
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option("--name", metavar="TEXT", help=f"With --export-to. {PARTS}  [default: the source's name]"),
]
FormatOption = Annotated[
    str | None, typer.Option("--format", metavar=FORMATS, help="With --export-to: of the copies.  [default: png]")
]
QualityOption = Annotated[
    int | None,
    typer.Option("--quality", min=1, max=100, metavar="N", help="With --export-to: of JPEG and WebP.  [default: 95]"),
]


@dataclass(frozen=True)
class Copies:
    """What was typed about copies of a run's results; nothing of it is checked yet."""

    folder: Path | None
    name: str | None = None
    format: str | None = None
    quality: int | None = None

    def typed(self) -> dict[str, Any]:
        """{option with its value: value}, for those that refuse them."""
        values = {"--export-to": self.folder, **self._how()}
        return {f"{option} {value}": value for option, value in values.items() if value is not None}

    def check(self, run: str, *inputs: Path) -> None:
        """Refuse before the work begins what could not be done at its end.

        Args:
            run: folder or address of the run.
            inputs: folders of its pictures; two of them if it has exemplars.

        Raises:
            ConfigError: an option that needs --export-to, a name or format that cannot be, or a folder that is no place
                for the copies.
        """
        from tasks.export import require_outside

        if self.folder is None:
            for option, value in self._how().items():
                if value is not None:
                    raise ConfigError(f"{option} {value} belongs to --export-to FOLDER; add it, or drop {option}")
            return
        wanted = self._wanted()
        if len(inputs) < 2 and "exemplar" in wanted.parts:
            raise ConfigError(f"--name {self.name}: the run has no exemplars; leave {{exemplar}} out")
        for place in (*([] if is_remote(run) else [run]), *map(str, inputs)):
            require_outside(self.folder, place, "--export-to")
        require_writable(self.folder, f"--export-to {self.folder}")

    def made_of(self, summary: Summary) -> dict[str, Any]:
        """Write what `check` allowed, if there is a result; fields for scripts."""
        if self.folder is None or not summary.done or summary.exit_code not in (Exit.DONE, Exit.QUARANTINED):
            return {}
        found = export_all(summary.run, "--export-to", self.folder, self._wanted())
        return {"exported": {"folder": self.folder, **vars(found)}}

    def _how(self) -> dict[str, Any]:
        return {"--name": self.name, "--format": self.format, "--quality": self.quality}

    def _wanted(self) -> Wanted:
        from tasks.export import wanted_of

        return wanted_of("result", self.name or "", self.format or "png", self.quality)


def export_all(run: str, option: str, folder: Path, wanted: Wanted) -> Exported:
    """Write what is wanted of a run to the folder that an option names, and say so."""
    from flows.counted import counted
    from flows.progress import show_progress
    from flows.remote import known_as, working_folder
    from tasks.export import export_run, require_outside

    with working_folder(run, say, writes=False) as place, show_progress(err) as observer:
        require_outside(folder, place.folder, option)
        found = export_run(place.folder, folder, wanted, counted(observer, "export", "pairs"))
    made(found.table, f"{found.files} files in {known_as(str(folder))}, listed in {found.table.name}")
    return found
