"""All metrics by name.

A new one is one file here and one line in `OURS`. Packages add theirs by the entry point group `mgi.metrics`, each an
object of `PairMetric` or `SetMetric`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mgi.registry import Registry, RegistryError

if TYPE_CHECKING:
    from mgi.metrics.base import Metric, PairMetric, Task

OURS = {
    "l2": "mgi.metrics.l2:L2",
    "vgg": "mgi.metrics.vgg:VGG",
    "lpips": "mgi.metrics.lpips:LPIPS",
    "psnr": "mgi.metrics.psnr:PSNR",
    "ssim": "mgi.metrics.ssim:SSIM",
    "structure": "mgi.metrics.structure:STRUCTURE",
    "structure-lite0": "mgi.metrics.structure:STRUCTURE_LITE0",
    "style": "mgi.metrics.style:STYLE",
    "spatial-fd": "mgi.metrics.spatial_fd:SPATIAL_FD",
    "sifid": "mgi.metrics.sifid:SIFID",
    "paper": "mgi.metrics.paper:PAPER",
    "set-fid": "mgi.metrics.set_fid:SET_FID",
    "relative-frechet": "mgi.metrics.relative_frechet:RELATIVE_FRECHET",
}

REGISTRY = Registry("metric", "mgi.metrics", OURS)


def metric(name: str) -> Metric:
    """The metric of a name.

    Raises:
        RegistryError: there is none, it cannot be loaded, or it is something else.
    """
    from mgi.metrics.base import PairMetric, SetMetric

    found = REGISTRY.load(name)
    if not isinstance(found, (PairMetric, SetMetric)):
        package = REGISTRY.rows[name].package
        raise RegistryError(f"metric {name} of {package}: expected a PairMetric or a SetMetric, found {found!r:.80}")
    if found.name != name:
        raise RegistryError(f"metric {name} calls itself {found.name}; both names have to be the same")
    return found


def chosen(wanted: str, task: Task) -> list[PairMetric]:
    """The pair metrics that a person asks for, in the order of the registry.

    Args:
        wanted: `standard` (what `Metric.standard` says, and every metric of other packages), `none`, or names with
            commas between them; `standard` may be one of them.
        task: metrics that say nothing for it are left out of `standard`.

    Raises:
        RegistryError: no such metric, or one of whole sets.
    """
    from mgi.metrics.base import PairMetric

    names = [name.strip() for name in wanted.split(",") if name.strip() and name.strip() != "none"]
    for name in names:
        if name != "standard" and name not in REGISTRY.rows:
            metric(name)  # says which there are
    found: list[PairMetric] = []
    for name, row in REGISTRY.rows.items():
        asked = name in names
        if not asked and "standard" not in names:
            continue
        one = metric(name)
        if isinstance(one, PairMetric):
            ours = row.package == "mgi"
            if asked or ((one.standard or not ours) and task in one.tasks):
                found.append(one)
        elif asked:
            raise RegistryError(f"metric {name} is of whole sets; choose metrics of pairs: {', '.join(_pairs())}")
    return found


def _pairs() -> Sequence[str]:
    from mgi.metrics.base import PairMetric

    return [name for name in REGISTRY.rows if isinstance(metric(name), PairMetric)]
