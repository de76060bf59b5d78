"""All metrics by name.

A new one is one file here and one line in `OURS`. Other packages add theirs through the entry point group
`mgi.metrics`; each is a `PairMetric` or `SetMetric`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mgi.registry import OURS as OUR_PACKAGE
from mgi.registry import Registry, RegistryError

if TYPE_CHECKING:
    from mgi.metrics.base import Metric, PairMetric, Task

OURS = {
    "l2": "mgi.metrics.l2:L2",
    "vgg": "mgi.metrics.vgg:VGG",
    "lpips": "mgi.metrics.lpips:LPIPS",
    "psnr": "mgi.metrics.psnr:PSNR",
    "ssim": "mgi.metrics.ssim:SSIM",
    "ms-ssim": "mgi.metrics.ms_ssim:MS_SSIM",
    "mse": "mgi.metrics.mse:MSE",
    "structure": "mgi.metrics.structure:STRUCTURE",
    "structure-lite0": "mgi.metrics.structure:STRUCTURE_LITE0",
    "shape": "mgi.metrics.shape:SHAPE",
    "semantic-consistency": "mgi.metrics.cocosnet:SEMANTIC_CONSISTENCY",
    "colour-relevance": "mgi.metrics.cocosnet:COLOUR_RELEVANCE",
    "texture-relevance": "mgi.metrics.cocosnet:TEXTURE_RELEVANCE",
    "identity": "mgi.metrics.identity:IDENTITY",
    "style": "mgi.metrics.style:STYLE",
    "detail": "mgi.metrics.detail:DETAIL",
    "detail-1": "mgi.metrics.detail:DETAIL_1",
    "detail-2": "mgi.metrics.detail:DETAIL_2",
    "detail-3": "mgi.metrics.detail:DETAIL_3",
    "detail-4": "mgi.metrics.detail:DETAIL_4",
    "spatial-fd": "mgi.metrics.spatial_fd:SPATIAL_FD",
    "sifid": "mgi.metrics.sifid:SIFID",
    "paper": "mgi.metrics.paper:PAPER",
    "set-fid": "mgi.metrics.set_fid:SET_FID",
    "relative-frechet": "mgi.metrics.relative_frechet:RELATIVE_FRECHET",
    "fid": "mgi.metrics.sets.fid:FID",
    "fid-clean": "mgi.metrics.sets.fid:FID_CLEAN",
    "kid": "mgi.metrics.sets.kid:KID",
    "inception-score": "mgi.metrics.sets.inception_score:INCEPTION_SCORE",
    "frechet-vgg16": "mgi.metrics.sets.frechet_features:FRECHET_VGG16",
    "frechet-lite0": "mgi.metrics.sets.frechet_features:FRECHET_LITE0",
    "kernel-lite0": "mgi.metrics.sets.frechet_features:KERNEL_LITE0",
    "frechet-descriptor": "mgi.metrics.sets.frechet_features:FRECHET_DESCRIPTOR",
    "swd": "mgi.metrics.sets.sliced_wasserstein:SLICED_WASSERSTEIN",
}

OF_SETS = frozenset(
    {"set-fid", "relative-frechet", "fid", "fid-clean", "kid", "inception-score", "swd"}
    | {"frechet-vgg16", "frechet-lite0", "kernel-lite0", "frechet-descriptor"}
)
"""Those of whole sets, so that their names are known without loading them."""
PAIR_METRICS = tuple(name for name in OURS if name not in OF_SETS)
"""Ours of pairs, in reading order."""

REGISTRY = Registry("metric", "mgi.metrics", OURS)


def metric(name: str) -> Metric:
    """The metric with a given name.

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


def chosen(wanted: str, task: Task, broken: list[str] | None = None) -> list[PairMetric]:
    """The pair metrics that the user asks for, in the order of the registry.

    Args:
        wanted: `standard` (what `Metric.standard` says, and every metric of other packages), `none`, or names separated
            by commas; `standard` may be one of them.
        task: metrics that make no sense for it are left out of `standard`.
        broken: gets a line for every metric that cannot be loaded and was not asked for by name; None: raise.

    Raises:
        RegistryError: no such metric, or one of whole sets.
    """
    names = [name.strip() for name in wanted.split(",") if name.strip() and name.strip() != "none"]
    for name in names:
        if name != "standard" and name not in REGISTRY.rows:
            metric(name)  # the message lists all metrics
    found: list[PairMetric] = []
    for name in REGISTRY.rows if "standard" in names else [name for name in REGISTRY.rows if name in names]:
        try:
            one = _chosen(name, name in names, task)
        except RegistryError as error:
            if broken is None or name in names:
                raise
            broken.append(str(error))
            continue
        if one is not None:
            found.append(one)
    return found


def _chosen(name: str, asked: bool, task: Task) -> PairMetric | None:
    """The metric, if it was asked for by name or is a standard one."""
    from mgi.metrics.base import PairMetric

    one, ours = metric(name), REGISTRY.rows[name].package == OUR_PACKAGE
    if not isinstance(one, PairMetric):
        if asked:
            raise RegistryError(f"metric {name} is for whole sets; choose metrics of pairs: {', '.join(_pairs())}")
        return None
    return one if asked or ((one.standard or not ours) and task in one.tasks) else None


def _pairs() -> Sequence[str]:
    from mgi.metrics.base import PairMetric

    return [name for name in REGISTRY.rows if isinstance(metric(name), PairMetric)]
