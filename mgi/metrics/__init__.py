"""Metrics judge finished images: one file each, listed by name in `mgi.metrics.registry`.

Nothing is imported here: a list of names needs no PyTorch.
"""
