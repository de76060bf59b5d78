"""`mgi edit`: moves inverted pictures along a direction."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from flows.cli.common import Answer, guarded, made, say, tell_behind
from mgi.config import ConfigError


@guarded
def edit(
    folder: Annotated[str, typer.Argument(metavar="RUN", help="A run of `mgi translate` or `mgi invert`.")],
    path: Annotated[
        Path,
        typer.Option("--direction", metavar="FILE.npy", help="A vector in the generator's w, or z if it has no w."),
    ],
    scale: Annotated[
        str, typer.Option(metavar="A..B", help="From A to B along the direction, in multiples of it; or one number.")
    ] = "-3..3",
    steps: Annotated[int, typer.Option(min=2, max=99, help="Pictures from A to B.")] = 7,
    pairs: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Only this pair; may be repeated.  [default: all finished]")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="At most this many pairs.")] = None,
    space: Annotated[
        str | None,
        typer.Option(metavar="z|w", help="Space of the direction, if no FILE.json names it; must be that of RUN."),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Also write every picture at full size.")] = False,
) -> Answer:
    """Move the results of RUN along a direction: a strip of pictures of each is written to RUN/edits/DIRECTION/.

    Pictures that are already there are kept, unless the direction's file, the scale or the run's choice has changed.
    """
    from flows.remote import known_as, working_folder
    from mgi.directions import read_direction
    from mgi.directions.amounts import amounts_of
    from storage.run_store import RunStore
    from tasks.editing.edit import Edit, edit_pair, finished_pairs
    from tasks.unit import Job

    strips: list[dict[str, object]] = []
    what = Edit(read_direction(path, space_option(space)), amounts_of(scale, steps), full)
    with working_folder(folder, say) as place:
        store = RunStore.open(place.folder)
        generator = store.header["config"]["generator"]
        if what.direction.generator not in (None, generator):
            say(
                f"mgi: warning: direction {what.direction.name} was made for {what.direction.generator}, "
                f"this run's generator is {generator}"
            )
        job = Job.of(store)
        for pair_id in finished_pairs(job, pairs, limit):
            written, computed = edit_pair(job, pair_id, what)
            strip = known_as(str(written))
            strips.append({"pair": pair_id, "strip": strip, "computed": bool(computed)})
            made(strip, f"{strip}{'' if computed else '  (was there)'}")
    return Answer({"strips": strips}, tell_behind(place))


def space_option(text: str | None) -> Literal["z", "w"] | None:
    """`--space`, checked."""
    if text not in (None, "z", "w"):
        raise ConfigError(f"--space {text}: expected z or w")
    return cast("Literal['z', 'w'] | None", text)
