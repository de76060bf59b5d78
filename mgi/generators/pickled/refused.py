"""What reading a pickle raises where the pickle wants too much."""

from mgi.generators.base import GeneratorError


class Refused(GeneratorError):
    """The pickle asks for something that reading tensors does not need."""
