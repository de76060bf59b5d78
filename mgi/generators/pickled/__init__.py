"""Inert stand-ins for what NVIDIA's pickles are made of; `mgi.generators.pickles` says which name gets which."""
