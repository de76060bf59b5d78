"""FID (Heusel et al. 2017): the Frechet distance of Inception features from a reference set."""

from mgi.metrics.reduced import ReducedMetric
from mgi.metrics.sets.inception import CLEAN, NETWORK, POOL3
from mgi.metrics.sets.of_vectors import frechet_of

FID = ReducedMetric(
    name="fid",
    summary="Frechet distance of Inception features from a reference set, resized as pytorch-fid does",
    needs=("reference",),
    rows=0,
    weights=(NETWORK,),
    reference="pytorch-fid",
    reduction=POOL3,
    compare=frechet_of,
)

FID_CLEAN = ReducedMetric(
    name="fid-clean",
    summary="as fid, resized as clean-fid does",
    needs=("reference",),
    rows=0,
    weights=(NETWORK,),
    reference="clean-fid (resize)",
    reduction=CLEAN,
    compare=frechet_of,
)
