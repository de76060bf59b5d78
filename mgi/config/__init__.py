"""The configuration of a run as one frozen model; a profile (`mgi.profiles`) is a complete TOML file of it."""

from mgi.config.base import ConfigError
from mgi.config.degradation import DEGRADATIONS, parse_degradation
from mgi.config.errors import validation_line
from mgi.config.inversion import METHODS, Inversion, parse_rungs, planned_steps
from mgi.config.run import INVERSION, Options, RunConfig
from mgi.config.selection import RULES, Selection
from mgi.config.warp import OEFT_REGULARIZATION, OEFT_TERMS, Align, Oeft, Warp

__all__ = [
    "DEGRADATIONS",
    "INVERSION",
    "METHODS",
    "OEFT_REGULARIZATION",
    "OEFT_TERMS",
    "RULES",
    "Align",
    "ConfigError",
    "Inversion",
    "Oeft",
    "Options",
    "RunConfig",
    "Selection",
    "Warp",
    "parse_degradation",
    "parse_rungs",
    "planned_steps",
    "validation_line",
]
