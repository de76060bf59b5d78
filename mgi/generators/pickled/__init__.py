"""Harmless stand-ins for what NVIDIA's pickles consist of; `mgi.generators.pickles` says which name gets which."""
