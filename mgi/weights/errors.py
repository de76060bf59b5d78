"""What can go wrong with weights. Every message is one line: what was expected, what was found, what to do."""


class WeightsError(RuntimeError):
    """Weights that cannot be used."""


class WeightsMissing(WeightsError):
    """The file is not here and could not be fetched."""


class WeightsCorrupt(WeightsError):
    """The file is here and is not the one that was published or converted."""
