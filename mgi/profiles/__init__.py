"""Profiles that ship with the package, and how the user's settings are laid over them."""

from mgi.profiles.loading import load_config, parse_value, profile_names
from mgi.profiles.paths import whole_generator, whole_paths

__all__ = ["load_config", "parse_value", "profile_names", "whole_generator", "whole_paths"]
