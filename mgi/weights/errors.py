"""What can go wrong with weights. Every message is one line: what was expected, what was found, what to do."""


class WeightsError(RuntimeError):
    """Weights that cannot be used."""


class WeightsMissing(WeightsError):
    """The file is not here and could not be fetched; `reason` says why, without advice."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class WeightsCorrupt(WeightsError):
    """The file is here and is not the one that was published or converted."""
