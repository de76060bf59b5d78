"""KID (Binkowski et al. 2018): the kernel distance of Inception features from a reference set, without bias."""

import math

from mgi.metrics.reduced import ReducedMetric
from mgi.metrics.sets.inception import NETWORK, POOL3
from mgi.metrics.sets.of_vectors import kernel_of

KID = ReducedMetric(
    name="kid",
    summary="kernel distance of Inception features from a reference set",
    needs=("reference",),
    range=(-math.inf, math.inf),
    rows=0,
    weights=(NETWORK,),
    reference="torchmetrics",
    reduction=POOL3,
    compare=kernel_of,
)
