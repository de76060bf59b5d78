"""Makes `grown-format-2.tar.gz`: a run of the stub that got a pair, then a hypothesis, then another choice.

    PYTHONPATH=.:tests/stub MGI_METHOD_FACTORY=stub_method:load python tests/stored/make_grown.py

To be run only until format 2 is released; from then on the archive is never written again.
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from pathlib import Path

from growing import asked, decided, settled, write
from runs import command, make_inputs, mgi, translate_command

from storage.run_store import RunStore
from tasks.growth import Growth, reselection

ARCHIVE = Path(__file__).with_name("grown-format-2.tar.gz")
MADE_AT = "/data/mgi"
KEPT = ("run.json", "plan.parquet", "run.zarr", "final", "done", ".boot")


def main() -> None:
    """Make the run in a temporary folder and pack what a run needs, under a path that is nobody's."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        inputs, run = make_inputs(folder / "inputs", 2), folder / "run"
        later = {side: inputs / side / f"{side[0]}01.png" for side in ("sources", "exemplars")}
        for path in later.values():
            path.rename(folder / path.name)
        _check(translate_command(inputs, run))
        for path in later.values():
            (folder / path.name).rename(path)
        _finish(run, decided(run, asked(inputs), extending=True))
        more = asked(inputs, inversion__hypotheses=["L04N03", "L05N02", "L06N04", "L07N05"])
        write(run, decided(run, more), more)
        _finish(run, None)
        _finish(run, reselection(str(run), RunStore.open(run).header, "set-fid", None))
        header = run / "run.json"
        header.write_text(header.read_text(encoding="utf-8").replace(temporary, MADE_AT), encoding="utf-8")
        shutil.rmtree(run / "done" / "report")
        with tarfile.open(ARCHIVE, "w:gz") as archive:
            for path in [inputs, *(run / name for name in KEPT)]:
                archive.add(path, path.relative_to(folder), filter=_anonymous)


def _finish(run: Path, found: Growth | None) -> None:
    if found:
        write(run, found)
    assert settled(run)
    _check(command("resume", run))


def _check(arguments: list[str]) -> None:
    done = mgi(arguments)
    assert done.returncode == 0, done.stderr


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


if __name__ == "__main__":
    main()
