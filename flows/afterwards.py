"""What a flow does with a run that is done: copies for others, photographs, videos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flows.pipeline import Summary
from flows.remote import known_as, working_folder
from mgi.config import ConfigError
from storage.remote.address import is_remote
from storage.run_store import RunStore
from tasks.export import export_run, require_outside, wanted_of
from tasks.paste import PASTED, paste_run
from tasks.report.video import write_videos
from tasks.unit import Job


@dataclass(frozen=True)
class After:
    """What is wanted of a run besides its own folder.

    Args:
        export_to: folder for the results under their sources' names; none: no copies.
        format: how the copies end.
        paste_back: put results back into the photographs that their sources were cut from, in RUN/pasted.
        videos: of so many pictures, of the path that the optimisation took.
    """

    export_to: str | None = None
    format: str = "png"
    paste_back: bool = False
    videos: int = 0

    def check(self, run: str) -> None:
        """Refuse what could not be done at the end before the work begins.

        Raises:
            ConfigError: the copies would lie in the run, or the photographs of a run at an address have no folder.
        """
        if self.paste_back and is_remote(run):
            raise ConfigError(f"paste_back: {run} is an address; use `mgi paste {run} --out FOLDER` afterwards")
        if self.export_to and not is_remote(run):
            require_outside(Path(self.export_to), run, "export_to")

    def do(self, summary: Summary, say: Callable[[str], None]) -> list[str]:
        """Do it for what is done of a run; returns a line each."""
        if not (self.export_to or self.paste_back or self.videos) or not summary.done:
            return []
        lines = []
        with working_folder(summary.run, say) as place:
            if self.export_to:
                found = export_run(place.folder, Path(self.export_to), wanted_of("result", "", self.format))
                lines.append(f"{found.files} files in {self.export_to}")
            if self.paste_back:
                pasted = paste_run(place.folder, None)
                lines.append(f"{pasted.made + pasted.ready} photographs in {known_as(place.folder)}/{PASTED}")
                lines += [f"{pair}: {reason}" for pair, reason in pasted.failed.items()]
            written = write_videos(Job.of(RunStore.open(place.folder)), self.videos)
            lines += [f"video: {known_as(str(path))}" for path in written]
        return lines
