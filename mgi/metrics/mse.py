"""Mean squared error from the source, as papers on restoration print it."""

from mgi.metrics.base import Networks, PairMetric, Views


def _measure(views: Views, networks: Networks) -> float:
    assert views.source is not None
    return float((views.result.clamp(-1, 1) - views.source).square().mean()) / 4


MSE = PairMetric(
    name="mse",
    summary="mean squared difference from the source, pixels in [0, 1]",
    needs=("source",),
    range=(0.0, 1.0),
    reference="torchmetrics mean_squared_error",
    tasks=("invert",),
    measure=_measure,
)
